# docker build -t muster . && docker run -d --name muster --stop-timeout 90 --network host -v muster:/var/lib/muster muster
# See docs/operate/guide.md for its configuration.
FROM node:24-trixie-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
COPY test/fixtures/webrtc-polyfill test/fixtures/webrtc-polyfill
# Dependencies with install scripts have their binaries in packages as well.
RUN npm ci --ignore-scripts
COPY tsconfig.json build.js ./
COPY src src
RUN node build.js --program && npm prune --omit=dev --ignore-scripts

FROM node:24-trixie-slim AS muster
ENV NODE_ENV=production
WORKDIR /opt/muster
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY package.json LICENSE README.md CHANGELOG.md config.toml ./
COPY docs docs
# The volume stores the database, the swarms and the token of the admin API. Settings come from
# /etc/muster/config.toml, which can be mounted, and from environment variables.
RUN mkdir -p /var/lib/muster /etc/muster && cp config.toml /etc/muster/ && chown 1000:1000 /var/lib/muster
# The user node, by number, because Kubernetes checks that the number is not that of root.
USER 1000:1000
WORKDIR /var/lib/muster
VOLUME /var/lib/muster
EXPOSE 6969/tcp 6969/udp
STOPSIGNAL SIGTERM
# /ready answers 503 during the start, and while a thread is stuck.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
  CMD ["node", "-e", "fetch(process.env.HEALTH_URL ?? 'http://127.0.0.1:8080/ready').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--enable-source-maps", "/opt/muster/dist/src/main.js"]
CMD ["--config", "/etc/muster/config.toml"]

# Replaces the image of Torrust-Actix: the same folder, ports and user, which owns the files in
# existing volumes. config.toml is created if it does not exist.
FROM muster AS torrust-actix
# hadolint ignore=DL3002
USER 0:0
WORKDIR /app/torrust-actix/target/release
EXPOSE 8080/tcp
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["test -f config.toml || sed 's/127.0.0.1:8080/0.0.0.0:8080/' /opt/muster/config.toml > config.toml; exec node --enable-source-maps /opt/muster/dist/src/main.js --config config.toml"]

# The image that is built without a target.
FROM muster
