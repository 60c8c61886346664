/** What one look says of the matter that an alert is about; `unknown`: too little was seen to say. */
export type Sight = 'beyond' | 'within' | 'unknown'

export type AlertFacts = {
  isOpen: boolean
  sight: Sight
  /** Rows (or labels) that came after the last look that was beyond. */
  rowsSince: number
  minRows: number
}

export type AlertMove = 'open' | 'update' | 'close' | 'none'

/**
 * What becomes of an alert after a look. One look beyond opens it; it ends only when a look is within and at least `minRows` rows
 * have come since the last one beyond: a window that slides over its bound by a row or two, back and forth, stays one alert.
 * A look that cannot say changes nothing.
 */
export function alertMove({ isOpen, sight, rowsSince, minRows }: AlertFacts): AlertMove {
  if (sight === 'beyond') return isOpen ? 'update' : 'open'
  if (sight === 'within' && isOpen && rowsSince >= minRows) return 'close'
  return 'none'
}
