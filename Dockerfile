# dmcached and dmcachectl on Debian 12, built from this folder.
#
#   docker build -t dmcached .          with a Docker engine; deploy/image.sh does it without one, and tries the image
#   docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges \
#     -v /run/dmcached:/run/dmcached -v /var/lib/dmcached:/var/lib/dmcached dmcached
#
# The daemon runs as user and group 10110, needs no capability and writes only where something is mounted: the socket's
# folder, which must be its own, and the devices or files that caches live on, which must be given to the container and
# to that user.  Paths in requests are the container's.  A configuration is given as `--config /etc/dmcached/config.json`.
FROM docker.io/library/debian:bookworm-slim AS build
WORKDIR /src
COPY deploy/packages.sh deploy/packages.sh
RUN deploy/packages.sh build && rm -rf /var/lib/apt/lists/*
COPY . .
# The context has no git that could be asked.
ARG REVISION=unknown
RUN cmake -C .cmake/release.cmake -S . -B build/release -G Ninja -DDMCACHED_TESTS=OFF -DDMCACHED_REVISION="$REVISION" \
  && ninja -C build/release dmcached dmcachectl \
  && strip build/release/server/dmcached build/release/client/dmcachectl

FROM docker.io/library/debian:bookworm-slim
COPY deploy/packages.sh /tmp/packages.sh
RUN /tmp/packages.sh runtime && rm -rf /tmp/packages.sh /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/* \
  && groupadd --gid 10110 dmcached \
  && useradd --uid 10110 --gid 10110 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin dmcached \
  && install -d -o 10110 -g 10110 -m 0750 /run/dmcached /var/lib/dmcached \
  && install -d /etc/dmcached
COPY --from=build /src/build/release/server/dmcached /src/build/release/client/dmcachectl /usr/local/bin/
ARG REVISION=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="dmcached" \
  org.opencontainers.image.description="Owns the metadata of Linux dm-cache devices and serves it over gRPC" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
# By number: Kubernetes can tell from it that this is not root.
USER 10110:10110
# Mutations are acknowledged when they are durable, so a stop may take as long as a commit and a close.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["dmcachectl", "health"]
ENTRYPOINT ["dmcached"]
CMD ["--listen", "unix:/run/dmcached/dmcached.sock"]
