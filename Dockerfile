# Production dependencies alone, without running any package's install script.
FROM node:20-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=dev

FROM node:20-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
# .dockerignore lets in only what the program is built from.
COPY . .
RUN npm run build
# Where a volume for stateFolder goes: writable by whoever runs it, a new volume takes that over.
RUN install -d -m 1777 /made/headgate
# What people type in the container, and what hints name.
RUN install -d /linked && ln -s /app/dist/src/cli/main.js /linked/headgate

FROM node:20-slim
ENV NODE_ENV=production NODE_OPTIONS=--enable-source-maps
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/package.json ./
COPY --from=build /app/dist ./dist
COPY --from=build /app/config ./config
COPY --from=build /made/ /var/lib/
COPY --from=build /linked/ /usr/local/bin/
# Nothing below /app belongs to this user. The root file system may be read-only: what is written goes to /tmp, and to the
# folder that stateFolder names in the configuration, which must outlive the container. A volume at /var/lib/headgate serves.
USER node
ENTRYPOINT ["headgate"]
CMD ["--help"]
