import { categoricalDistributionDetector } from './categorical-distribution.ts';
import { completenessDetector } from './completeness.ts';
import { descriptorsDetector } from './descriptors.ts';
import type { Detector } from './detector.ts';
import { domainDetector } from './domain.ts';
import { labelSurpriseDetector } from './label-surprise.ts';
import { labelDetector } from './label.ts';
import { nullPatternDetector } from './null-pattern.ts';
import { numericDistributionDetector } from './numeric-distribution.ts';
import { replayDetector } from './replay.ts';
import { schemaDetector } from './schema.ts';
import { tailsDetector } from './tails.ts';
import { volumeDetector } from './volume.ts';

/** Every detector, in the order in which findings are listed when they are equally strong. A new one is one file and one line. */
export const DETECTORS: readonly Detector[] = [
  schemaDetector,
  completenessDetector,
  nullPatternDetector,
  domainDetector,
  numericDistributionDetector,
  categoricalDistributionDetector,
  descriptorsDetector,
  tailsDetector,
  labelDetector,
  labelSurpriseDetector,
  replayDetector,
  volumeDetector,
];
