import { UnavailableError } from '../../src/errors.ts';
import type { Alert, AlertChannel } from '../../src/ports/alert-channel.ts';
import type { SimProcess } from './process.ts';

/** Where people hear of alerts: it may not answer, and may have heard all the same. */
export class Hook {
  /** In the order in which they came. */
  readonly delivered: Alert[] = [];
  readonly #undelivered: number;

  /** @param undelivered probability that a delivery fails, for who delivers. */
  constructor(undelivered: number) {
    this.#undelivered = undelivered;
  }

  /** The hook as one process sees it. */
  channelOf(process: SimProcess): AlertChannel {
    return { name: 'hook', deliver: (alert) => this.#deliver(process, alert) };
  }

  #deliver(process: SimProcess, alert: Alert): Promise<void> {
    return process.call(`deliver ${alert.id}`, (strikes) => {
      const fails = strikes('undelivered', this.#undelivered);
      if (fails && strikes('unheard', 0.5)) throw notDelivered(alert);
      this.delivered.push(alert);
      if (fails) throw notDelivered(alert);
    });
  }
}

function notDelivered({ id }: Alert): UnavailableError {
  return new UnavailableError('ALERT_UNDELIVERED', `Cannot deliver alert "${id}": simulated fault`);
}
