import type { MlmodelFile } from '../models/mlmodel-file.ts'

/** A model that is kept in Python without a word (it is none that could be converted), or with one. */
export type Unconvertible = { isCandidate: boolean; reason: string; next: string }

/** A larger one takes minutes of a core to convert, beside the requests that it answers meanwhile. */
const mostBytes = 50_000_000

const flavours = ['sklearn', 'xgboost', 'lightgbm']

/**
 * Pure. Whether a model is converted without being asked for it: only where a client cannot tell the graph from the original, by what it
 * takes, by the form of what it answers, and by what it refuses.
 * @param bytes of all files of the model's folder
 * @returns undefined where it is; else why it is not
 */
export function unconvertible(mlmodel: MlmodelFile, bytes: number): Unconvertible | undefined {
  const no = (reason: string, next: string): Unconvertible => ({ isCandidate: true, reason, next })
  const { facts, flavors, inputExample } = mlmodel
  if (!flavors.some((one) => flavours.includes(one)))
    return {
      isCandidate: false,
      reason: `its flavour is ${flavors.join(', ')}`,
      next: 'scikit-learn, XGBoost and LightGBM are converted.',
    }
  if (facts.signature === 'none')
    return no('it has no signature, so only its code knows what it takes', 'Save it with a signature.')
  if (facts.params.length > 0) return no('its signature has params', 'Python computes it.')
  if (!inputExample)
    return no(
      'there are no real rows to prove it on',
      'Save it with an input_example, or convert it with `modelwright convert --rows FILE`.',
    )
  if (bytes > mostBytes)
    return no(
      `its ${Math.round(bytes / 1_000_000)} MB would take long to convert`,
      'Convert it with `modelwright convert`.',
    )
  return undefined
}
