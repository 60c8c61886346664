import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { setToken } from '../data/session.ts'
import { CommandLine } from '../parts/copy.tsx'

/** Asks for the token that lets this tab change things; it stays in the tab. */
export function SignIn({ open, onClose }: { open: boolean; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const queries = useQueryClient()
  useEffect(() => {
    if (open) dialog.current?.showModal()
    else dialog.current?.close()
  }, [open])
  const signIn = (form: FormData) => {
    const token = String(form.get('token') ?? '').trim()
    if (token) setToken(token)
    void queries.invalidateQueries()
    onClose()
  }
  return (
    <dialog ref={dialog} className="dialog" aria-labelledby="sign-in-title" onClose={onClose}>
      <form action={signIn}>
        <h2 id="sign-in-title">Sign in with a token</h2>
        <p className="muted">
          Looking needs none on this machine; approving and rolling out does. It stays in this tab until you close it.
        </p>
        <CommandLine command="modelwright token" />
        <label className="field">
          <span>Token</span>
          <input className="input mono" name="token" type="password" autoComplete="off" required />
        </label>
        <footer>
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button primary">
            Sign in
          </button>
        </footer>
      </form>
    </dialog>
  )
}
