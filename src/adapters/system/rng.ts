import { randomBytes } from 'node:crypto';

import type { Rng } from '../../ports/rng.ts';

/** The operating system's generator. */
export const systemRng: Rng = { bytes: (count) => randomBytes(count) };
