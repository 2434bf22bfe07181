import { IntegrityError, type ErrorCode } from '../errors.ts';
import { lossesOf } from '../publish/batch-objects.ts';
import type { NewBatch } from '../publish/news.ts';
import { formatLogId } from '../record/log-id.ts';
import type { LedgerContext } from '../respond/ledger-context.ts';

const PUT_BACK =
  'put it back as it was, from a copy of the store or from earlier versions of its objects; headgate verify names each that differs';

/** Something in the store that is not as it was signed. */
export interface Damage {
  /** The log, where it is one that cannot be read to its end; else the object. */
  readonly object: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly wayOut: string;
}

/** What an error tells of the store. @param object what it is about, where the error names only a part of it */
export function damageOf({ object, code, message }: IntegrityError, about = object): Damage {
  return { object: about, code, message, wayOut: PUT_BACK };
}

/** The same of an object that only one batch needs: without it the others can go on. @param id as commands take it */
export function damageOfBatch(error: IntegrityError, id: string): Damage {
  const wayOut = `${PUT_BACK}; or leave the batch out: headgate quarantine condemn ${id} --reason TEXT`;
  return { ...damageOf(error), wayOut };
}

/** How commands name a batch that no snapshot may list yet. */
export function placeOf({ log, entry }: NewBatch): string {
  return `${formatLogId(log)}@${entry.start}`;
}

/** Evidence and data of batches that are gone or have another size: nothing of them is read. In the order of the batches. */
export async function damageOfBatches(
  { store }: LedgerContext,
  batches: readonly NewBatch[],
): Promise<readonly Damage[]> {
  const objectsOf = ({ entry: { evidence, data } }: NewBatch) => (data === null ? [evidence] : [evidence, data]);
  const losses = await lossesOf(store, batches, objectsOf, 'read');
  return losses.map(({ batch, error }) => damageOfBatch(error, placeOf(batch)));
}

/** What `read` gives; null where the store is not as it was signed, which is noted. @param about as for {@link damageOf} */
export async function readable<Value>(
  damage: Damage[],
  read: () => Promise<Value>,
  about?: string,
): Promise<Value | null> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    damage.push(damageOf(error, about));
    return null;
  }
}

/** One line. */
export function describeDamage({ object, code, message, wayOut }: Damage): string {
  return `  DAMAGED  ${object} (${code}): ${message.split('\n', 1)[0]!.replace(/ \(way out: .*$/, '')}; way out: ${wayOut}`;
}
