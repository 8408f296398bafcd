# What `make dev` opens a shell in: Rust with clippy and rustfmt, and all that the make targets use without an engine (but for
# `make fuzz`, which needs a nightly compiler and cargo-fuzz).
# Built from the repository root: docker build -f dev/tools.Dockerfile -t isitup-tools .

ARG RUST_IMAGE=rust:1.95-slim-bookworm
FROM ${RUST_IMAGE}
RUN rustup component add clippy rustfmt
COPY dev/deps /usr/local/lib/isitup/deps
# Java's package wants the folder of manual pages, which slim images lack. kcat shows what is on the topic.
RUN mkdir -p /usr/share/man/man1 \
    && sh /usr/local/lib/isitup/deps \
    && apt-get update \
    && apt-get install -y --no-install-recommends curl git kcat \
    && rm -rf /var/lib/apt/lists/*
# As long as the compile takes, it is done once.
RUN cargo install --locked --debug cargo-deny@0.20.2 cargo-machete@0.9.2 cargo-cyclonedx@0.5.9
# Built in a volume: the folder target/ in the clone belongs to the machine outside.
ENV CARGO_TARGET_DIR=/target
WORKDIR /work
CMD ["bash"]
