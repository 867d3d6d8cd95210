//! Summaries that `tensorboard-rs` lacks, or in the case of images gets wrong:
//! it swaps width and height and panics on a picture it does not like.

use std::io;

use protobuf::RepeatedField;
use tensorboard_proto::summary::{Summary, Summary_Image, Summary_Value, SummaryMetadata, SummaryMetadata_PluginData};
use tensorboard_proto::tensor::TensorProto;
use tensorboard_proto::types::DataType;

use crate::sink::Image;

/// A summary of one value.
pub(super) fn summary(value: Summary_Value) -> Summary {
    let mut summary = Summary::new();
    summary.set_value(RepeatedField::from_vec(vec![value]));
    summary
}

/// A tensor that a plugin of TensorBoard other than the built-in kinds shows.
pub(super) fn for_plugin(plugin: &str, content: Vec<u8>, tag: &str, tensor: TensorProto) -> Summary {
    let mut plugin_data = SummaryMetadata_PluginData::new();
    plugin_data.set_plugin_name(plugin.to_owned());
    plugin_data.set_content(content);
    let mut metadata = SummaryMetadata::new();
    metadata.set_plugin_data(plugin_data);
    let mut value = Summary_Value::new();
    value.set_tag(tag.to_owned());
    value.set_metadata(metadata);
    value.set_tensor(tensor);
    summary(value)
}

/// Text for the plugin of that name.
pub(super) fn text(tag: &str, text: &str) -> Summary {
    let mut tensor = TensorProto::new();
    tensor.set_dtype(DataType::DT_STRING);
    // No dimensions: a vector, even of one element, is shown as a table.
    tensor.set_tensor_shape(Default::default());
    tensor.set_string_val(RepeatedField::from_vec(vec![text.as_bytes().to_vec()]));
    // The plugin's content is a `TextPluginData` of version 0: no bytes.
    for_plugin("text", Vec::new(), tag, tensor)
}

/// A picture as PNG.
pub(super) fn image(tag: &str, image: &Image) -> io::Result<Summary> {
    const RGB: i32 = 3;
    let mut encoded = Vec::new();
    let mut encoder = png::Encoder::new(&mut encoded, image.width, image.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&image.rgb)?;
    writer.finish()?;

    // PNG itself has no sizes beyond `i32::MAX`.
    let mut picture = Summary_Image::new();
    picture.set_width(image.width as i32);
    picture.set_height(image.height as i32);
    picture.set_colorspace(RGB);
    picture.set_encoded_image_string(encoded);
    let mut value = Summary_Value::new();
    value.set_tag(tag.to_owned());
    value.set_image(picture);
    Ok(summary(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_keeps_its_sides_and_pixels() {
        let rgb: Vec<u8> = (0..3 * 4 * 2).collect();
        let written = Image { width: 4, height: 2, rgb };
        let summary = image("view", &written).unwrap();
        let picture = summary.get_value()[0].get_image();
        assert_eq!((picture.get_width(), picture.get_height()), (4, 2));
        let encoded = io::Cursor::new(picture.get_encoded_image_string());
        let mut reader = png::Decoder::new(encoded).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (4, 2));
        assert_eq!(pixels, written.rgb);
    }

    #[test]
    fn a_text_is_a_scalar_string_of_the_text_plugin() {
        let summary = text("note", "grüße");
        let value = &summary.get_value()[0];
        let plugin = value.get_metadata().get_plugin_data();
        assert_eq!(plugin.get_plugin_name(), "text");
        assert_eq!(value.get_tensor().get_dtype(), DataType::DT_STRING);
        assert!(value.get_tensor().get_tensor_shape().get_dim().is_empty());
        assert_eq!(value.get_tensor().get_string_val()[0], "grüße".as_bytes());
    }
}
