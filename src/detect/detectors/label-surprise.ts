import { plainStatistic, shareStatistic } from './detector.ts';
import type { Detector } from './detector.ts';
import { quoteName } from '../../record/quote-name.ts';

const DETECTOR = 'label-surprise';

/**
 * Labels that the other columns speak against: flipped ones raise the loss of a model that never saw the batch.
 *
 * No test of one column at a time can see this: the columns and the label shares may all be as usual.
 * Cost: nothing here; the rows were scored while profiling (about 10 ns a value).
 * Source: Rabanser et al., "Failing Loudly" (2019): outputs of a label model are the best cheap reduction.
 */
export const labelSurpriseDetector: Detector = {
  id: DETECTOR,
  family: 'surprise',
  about: 'Labels that a model learned with the baseline finds unlikely',
  atlas: 'AML.T0020',
  measure({ batch }) {
    const { losses, profile } = batch;
    if (losses === null || losses.rows === 0 || profile.roles.label === null) return [];
    const columns = [profile.roles.label];
    const label = quoteName(profile.roles.label);
    const { rows, loss, lossSquares, lossExpected, lossVariance, odds, oddsVariance } = losses;
    const mean = loss / rows;
    const deviation = Math.sqrt(Math.max(0, lossSquares / rows - mean * mean));
    const about = (name: string, subject: string) => ({ detector: DETECTOR, name, columns, subject });
    const below = (name: string, likelihood: string, count: number) =>
      shareStatistic(about(name, `Share of rows whose ${label} has a likelihood below ${likelihood}`), count, rows, {
        side: 'high',
        surprise: true,
      });
    return [
      // The floor keeps a model that is always right from making one wrong row a wonder.
      plainStatistic(about('loss', `Mean log-loss of ${label}`), mean, Math.max(deviation, 0.1) / Math.sqrt(rows), {
        side: 'high',
      }),
      // Against what the model expects of these very rows: a day that is hard to predict is not a day of wrong labels.
      plainStatistic(
        about('excess-loss', `Log-loss of ${label} beyond what its rows explain`),
        (loss - lossExpected) / rows,
        Math.sqrt(lossVariance + 1) / rows,
        { side: 'high' },
      ),
      // The most powerful test against a small share of labels flipped at random.
      plainStatistic(
        about('odds', `Odds against ${label} beyond what its rows explain`),
        odds / rows,
        Math.sqrt(oddsVariance + 20) / rows,
        { side: 'high' },
      ),
      below('below-2', '2 %', losses.below2),
      below('below-10', '10 %', losses.below10),
      below('below-50', '50 %', losses.below50),
    ];
  },
};
