# The image of Restante: data in the volume /data, MQTT on 1883, MQTT over WebSocket on 8083, REST and dashboard on 18083.
FROM node:20-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Not "npm ci": it refuses a lock that lacks optional packages of another platform.
RUN npm install --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build
RUN npm prune --omit=dev --no-audit --no-fund

FROM node:20-bookworm-slim
LABEL org.opencontainers.image.title="Restante" \
      org.opencontainers.image.description="An MQTT 3.1.1 and 5.0 broker that is also a durable message queue" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /opt/restante
COPY LICENSE package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
# Compose files written for EMQX need only their image changed: its health check, and a place for its key file.
COPY .docker/emqx /opt/emqx/bin/emqx
RUN chmod 0755 dist/cli/launch.cjs /opt/emqx/bin/emqx \
 && ln -s /opt/restante/dist/cli/launch.cjs /usr/local/bin/restante \
 && mkdir -p /opt/emqx/etc \
 && install -d -o node -g node -m 0700 /data
ENV NODE_ENV=production \
    RESTANTE_HOST=0.0.0.0 \
    RESTANTE_DATA_DIR=/data
USER node
VOLUME /data
EXPOSE 1883 8083 18083
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=5 CMD ["restante", "status"]
ENTRYPOINT ["restante"]
CMD ["start"]
