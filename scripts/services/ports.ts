import { createServer } from 'node:net';

/** Ports that the test servers take where they are free: apart from the standard ones, and below those the system hands out. */
export const PREFERRED_PORTS = {
  kafka: 29_192,
  kafkaController: 29_193,
  kafkaSasl: 29_194,
  kafkaMtls: 29_195,
  s3: 29_200,
  redis: 29_210,
} as const;

/** A free loopback port for each name: the preferred one where it can be had, else one that the system picks.
 * Another process may still take it before the server does; the server then fails to start and says so. */
export async function choosePorts<Name extends string>(
  preferred: Readonly<Record<Name, number>>,
): Promise<Record<Name, number>> {
  const chosen: Partial<Record<Name, number>> = {};
  for (const name of Object.keys(preferred) as Name[]) {
    chosen[name] = (await tryPort(preferred[name])) ?? (await tryPort(0))!;
  }
  return chosen as Record<Name, number>;
}

function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : null));
    });
  });
}
