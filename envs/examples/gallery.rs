//! Every built-in environment after some random steps, in one picture:
//! `cargo run --release -p apprentice-envs --example gallery docs/images/environments.png`.

use apprentice_envs::{EnvSpec, Error, Frame, Generator, Registry};
use std::path::PathBuf;

const WIDTH: usize = 600;
const HEIGHT: usize = 512;
const STEPS: usize = 10;

fn main() -> Result<(), Error> {
    let path = std::env::args_os().nth(1).map_or("environments.png".into(), PathBuf::from);
    let registry = Registry::builtin();
    // Where one environment has several ids, one of them.
    let twins = ["CartPole-v0", "CliffWalkingSlippery-v1"];
    let ids = registry.list().map(|info| info.id.as_str()).filter(|id| !twins.contains(id));
    let mut specs: Vec<EnvSpec> = ids.map(EnvSpec::new).collect();
    // The default of GridWorld is an empty room; this is everything that a map can have.
    let everything = "S.#..R.G\n.r#.!##b\n..~~.L.B\n?.~..L..\n#C.#-..1\ny..Y.a.2\n*.#p.P..";
    specs.iter_mut().filter(|spec| spec.id == "GridWorld-v0").for_each(|spec| {
        let goals = serde_json::json!({ "a": 0.5 });
        *spec = EnvSpec::new("GridWorld-v0").with("map", everything).with("goals", goals);
    });
    let frames = specs.iter().filter_map(|spec| drawn(&registry, spec).transpose());
    let frames = frames.map(|frame| frame.map(framed)).collect::<Result<Vec<_>, _>>()?;
    Frame::grid(&frames)?.save_png(&path)
}

/// What an environment looks like after a few steps, if it draws itself.
fn drawn(registry: &Registry, spec: &EnvSpec) -> Result<Option<Frame>, Error> {
    let mut env = registry.make(spec)?;
    let mut rng = Generator::new(3);
    env.reset(Some(3))?;
    for _ in 0..STEPS {
        let action = env.action_space().sample(&mut rng);
        if env.step(&action)?.done() {
            break;
        }
    }
    Ok(env.render_rgb())
}

/// A picture in the middle of one that all others fit in.
fn framed(frame: Frame) -> Frame {
    let (width, height) = (frame.width as usize, frame.height as usize);
    // Wider pictures lose every second pixel.
    let factor = width.div_ceil(WIDTH).max(height.div_ceil(HEIGHT));
    let (width, height) = (width / factor, height / factor);
    let (left, top) = ((WIDTH - width) / 2, (HEIGHT - height) / 2);
    let mut rgb = vec![255; WIDTH * HEIGHT * 3];
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let from = (y * factor * frame.width as usize + x * factor) * 3;
        let to = ((top + y) * WIDTH + left + x) * 3;
        rgb[to..to + 3].copy_from_slice(&frame.rgb[from..from + 3]);
    }
    Frame { width: WIDTH as u32, height: HEIGHT as u32, rgb }
}
