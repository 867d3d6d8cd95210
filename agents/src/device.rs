//! Where tensors live, by name.

use crate::Error;
use burn::tensor::Device;

/// The device called `name`: `cpu`, or `cuda:N` for the N-th CUDA GPU (`cuda` is `cuda:0`).
///
/// # Errors
/// If the name is not one of these, or if support for the device is not compiled in.
pub fn device(name: &str) -> Result<Device, Error> {
    if name == "cpu" {
        return Ok(Device::flex());
    }
    let index = match name.strip_prefix("cuda") {
        Some("") => Some(0),
        Some(rest) => rest.strip_prefix(':').and_then(|index| index.parse::<usize>().ok()),
        None => None,
    };
    match index {
        Some(index) => cuda(index),
        None => Err(Error::device(format!("unknown device {name:?}: expected cpu or cuda:N, such as cuda:0"))),
    }
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device, Error> {
    Ok(Device::cuda(index))
}

#[cfg(not(feature = "cuda"))]
fn cuda(index: usize) -> Result<Device, Error> {
    Err(Error::device(format!(
        "device cuda:{index} is not compiled in: expected a build with the feature `cuda`; \
         build with `--features cuda`, or use --device cpu"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_missing_devices_are_errors() {
        assert!(device("cpu").is_ok());
        for name in ["gpu", "cuda:", "cuda:x", "cuda-1", ""] {
            assert!(device(name).unwrap_err().is_device(), "{name}");
        }
        #[cfg(not(feature = "cuda"))]
        assert!(device("cuda:0").unwrap_err().to_string().contains("not compiled in"));
    }
}
