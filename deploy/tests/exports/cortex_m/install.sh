#!/bin/sh
# What the tests on a Cortex-M4 need, on Debian or Ubuntu: a compiler, an emulator, and Rust's core for the chip.
set -e
apt-get update
apt-get install --yes gcc-arm-none-eabi qemu-system-arm
rustup target add thumbv7em-none-eabihf
