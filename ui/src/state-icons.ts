import {
  Ban,
  CircleCheck,
  CircleDashed,
  CircleFadingArrowUp,
  CircleQuestionMark,
  CircleX,
  GitCompareArrows,
  LoaderCircle,
  type LucideIcon,
  OctagonPause,
  Radio,
  Recycle,
  TriangleAlert,
  UserRound,
} from 'lucide-react'
import type { ShownState } from '../../src/lineage/shown-states-contract.ts'

/** One icon for each state; its colour is the token `--state-…` in styles/tokens.css. */
export const stateIcons = {
  queued: CircleDashed,
  running: LoaderCircle,
  reused: Recycle,
  passed: CircleCheck,
  warned: TriangleAlert,
  failed: CircleX,
  inconclusive: CircleQuestionMark,
  cancelled: Ban,
  waiting: UserRound,
  progressing: CircleFadingArrowUp,
  serving: Radio,
  mismatch: GitCompareArrows,
  stalled: OctagonPause,
} as const satisfies Record<ShownState, LucideIcon>
