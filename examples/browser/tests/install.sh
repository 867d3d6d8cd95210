#!/bin/sh
# What the tests of the page need, on Debian or Ubuntu: node, a browser, and Rust's library for WebAssembly.
set -e
apt-get update
apt-get install --yes --no-install-recommends nodejs chromium
rustup target add wasm32-unknown-unknown
