# dmcached and dmcachectl on Debian 12, built from this folder.
#
#   docker build -t dmcached .
#   docker run --rm -v /var/lib/dmcached:/var/lib/dmcached -v /run/dmcached:/run/dmcached \
#     --device /dev/mapper/vg-meta dmcached
#
# Devices and files that caches live on must be given to the container; paths in requests are the container's.
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY deploy/packages.sh deploy/packages.sh
RUN deploy/packages.sh build && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake -C .cmake/release.cmake -S . -B build/release -G Ninja -DDMCACHED_TESTS=OFF \
  && ninja -C build/release server/all client/all \
  && strip build/release/server/dmcached build/release/client/dmcachectl

FROM debian:bookworm-slim
COPY deploy/packages.sh /usr/share/dmcached/packages.sh
RUN /usr/share/dmcached/packages.sh runtime && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/release/server/dmcached /src/build/release/client/dmcachectl /usr/local/bin/
# Mutations are acknowledged when they are durable, so a stop may take as long as a commit and a close.
STOPSIGNAL SIGTERM
HEALTHCHECK CMD ["dmcachectl", "health"]
ENTRYPOINT ["dmcached"]
CMD ["--listen", "unix:/run/dmcached/dmcached.sock"]
