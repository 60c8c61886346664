import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { getHealth } from '../../../src/lineage/lineage-contract.ts'
import { commands } from '../commands.ts'
import { clientWith } from '../data/api.ts'
import { setToken } from '../data/session.ts'
import { CommandLine } from '../parts/copy.tsx'
import { Problem } from '../parts/problem.tsx'

/** Asks for the token that lets this tab change things; it stays in the tab. */
export function SignIn({ open, onClose }: { open: boolean; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const queries = useQueryClient()
  useEffect(() => {
    if (open) dialog.current?.showModal()
    else dialog.current?.close()
  }, [open])
  const { mutate, isPending, error, reset } = useMutation({
    // Tried before it is kept: with a wrong token even reading would fail, everywhere.
    mutationFn: async (token: string) => {
      await clientWith(token)(getHealth, {})
      setToken(token)
    },
    onSuccess: () => {
      void queries.invalidateQueries()
      onClose()
    },
  })
  const signIn = (form: FormData) => mutate(String(form.get('token') ?? '').trim())
  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby="sign-in-title"
      onClose={() => {
        reset()
        onClose()
      }}
    >
      <form action={signIn}>
        <h2 id="sign-in-title">Sign in with a token</h2>
        <p className="muted">
          Looking needs none on this machine; approving and rolling out does. It stays in this tab until you close it.
        </p>
        <CommandLine command={commands.token} />
        <label className="field">
          <span>Token</span>
          <input className="input mono" name="token" type="password" autoComplete="off" required />
        </label>
        {error && <Problem error={error} />}
        <footer>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={isPending}>
            Sign in
          </button>
        </footer>
      </form>
    </dialog>
  )
}
