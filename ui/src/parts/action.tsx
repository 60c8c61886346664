import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useToken } from '../data/session.ts'
import { CommandLine } from './copy.tsx'
import { Problem } from './problem.tsx'

type Props = { label: string; command: string; act: () => Promise<unknown>; primary?: boolean }

/**
 * Something that a person may decide. The terminal line is always there; the button only with a token, since without one the
 * server would refuse it.
 */
export function Action({ label, command, act, primary = false }: Props) {
  const token = useToken()
  const queries = useQueryClient()
  const { mutate, isPending, error } = useMutation({ mutationFn: act, onSettled: () => queries.invalidateQueries() })
  return (
    <div className="stack">
      <div className="action">
        {token && (
          <button
            type="button"
            className={primary ? 'button primary' : 'button'}
            disabled={isPending}
            onClick={() => mutate()}
          >
            {label}
          </button>
        )}
        <CommandLine command={command} />
      </div>
      {error && <Problem error={error} />}
    </div>
  )
}
