/** Where a process kills itself: one side of one pass of a step. */
export interface CrashPoint {
  /** As {@link CrashPlan.log} has it. */
  readonly step: string;
  readonly side: Side;
  /** Which pass of the step, from 1. */
  readonly pass: number;
}

/** Before the outside world was asked for anything, or once it has answered. */
export type Side = 'before' | 'after';

/** What a process that is watched is told, as JSON in the environment. */
export interface CrashPlan {
  /** File that receives every step that is begun, one a line; null for none. */
  readonly log: string | null;
  readonly point: CrashPoint | null;
  /** True for a process that uses Kafka, S3 and Redis: whose modules are loaded late otherwise. */
  readonly services: boolean;
}

/** Name of the environment variable; only the preload reads it. */
export const CRASH_PLAN = 'HEADGATE_TEST_CRASH_PLAN';
