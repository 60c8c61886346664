import { useQuery } from '@tanstack/react-query'
import { Link, Outlet, useParams, useRouterState } from '@tanstack/react-router'
import { KeyRound, LogOut, Menu, Monitor, Moon, Search, Sun } from 'lucide-react'
import { lazy, Suspense, useEffect, useState } from 'react'
import { useLive, useLiveProject } from '../data/live.ts'
import { promotionsQuery } from '../data/queries.ts'
import { setToken, useToken } from '../data/session.ts'
import { Breadcrumbs } from './breadcrumbs.tsx'
import { ProjectSwitch } from './project-switch.tsx'
import { sections } from './sections.ts'
import { SignIn } from './sign-in.tsx'
import { useTheme } from './theme.ts'

const Palette = lazy(() => import('./palette.tsx').then(({ Palette }) => ({ default: Palette })))

/** What stands around every page: rail, breadcrumbs, live mark, palette. */
export function Frame() {
  const { project } = useParams({ strict: false })
  const [menuOpen, setMenuOpen] = useState(false)
  const [paletteOpen, setPaletteOpen] = useState(false)
  const [signInOpen, setSignInOpen] = useState(false)
  const path = useRouterState({ select: ({ location }) => location.pathname })
  useLiveProject(project)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new page closes the menu
  useEffect(() => setMenuOpen(false), [path])
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        setPaletteOpen((open) => !open)
      }
      if (event.key === 'Escape') setMenuOpen(false)
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [])
  return (
    <div className="frame" data-menu={menuOpen ? 'open' : 'closed'}>
      <a className="skip" href="#content">
        Skip to the page
      </a>
      {menuOpen && (
        <button type="button" className="menu-shade" aria-label="Close the menu" onClick={() => setMenuOpen(false)} />
      )}
      <nav className="rail" id="rail" aria-label="Sections">
        <Link to="/" className="brand">
          <Mark />
          Modelwright
        </Link>
        <ProjectSwitch project={project} />
        {project && <Sections project={project} />}
        <div className="rail-foot">
          <button type="button" className="rail-button" onClick={() => setPaletteOpen(true)}>
            <Search size={16} aria-hidden />
            Go to… <kbd>Ctrl K</kbd>
          </button>
          <ThemeButton />
          <SessionButton onSignIn={() => setSignInOpen(true)} />
        </div>
      </nav>
      <div className="main">
        <header className="topbar">
          <button
            type="button"
            className="icon-button menu-button"
            aria-label="Menu"
            aria-expanded={menuOpen}
            aria-controls="rail"
            onClick={() => setMenuOpen(true)}
          >
            <Menu size={18} aria-hidden />
          </button>
          <Breadcrumbs />
          {project && <LiveMark />}
        </header>
        <main id="content" tabIndex={-1}>
          <Outlet />
        </main>
      </div>
      {paletteOpen && (
        <Suspense>
          <Palette project={project} onClose={() => setPaletteOpen(false)} onSignIn={() => setSignInOpen(true)} />
        </Suspense>
      )}
      <SignIn open={signInOpen} onClose={() => setSignInOpen(false)} />
    </div>
  )
}

function Sections({ project }: { project: string }) {
  const { data } = useQuery(promotionsQuery(project))
  const waiting = data?.items.filter(({ waitsForPerson }) => waitsForPerson).length ?? 0
  return (
    <div className="sections">
      {sections.map(({ to, name, icon: Icon }) => (
        <Link
          key={to}
          to={to}
          params={{ project }}
          activeOptions={{ exact: name === 'Loop' }}
          activeProps={{ className: 'active', 'aria-current': 'page' }}
        >
          <Icon size={16} aria-hidden />
          {name}
          {name === 'Loop' && waiting > 0 && (
            <span className="badge">
              {waiting}
              <span className="visually-hidden"> waiting for a person</span>
            </span>
          )}
        </Link>
      ))}
    </div>
  )
}

function LiveMark() {
  const live = useLive()
  return (
    <span
      className="live"
      data-live={live}
      role="status"
      title={
        live === 'live' ? 'Changes show as they happen.' : 'The stream of changes is down; asking every 5 seconds.'
      }
    >
      <i aria-hidden />
      {live}
    </span>
  )
}

const themeIcons = { system: Monitor, light: Sun, dark: Moon }

function ThemeButton() {
  const { theme, turn } = useTheme()
  const Icon = themeIcons[theme]
  return (
    <button type="button" className="rail-button" onClick={turn}>
      <Icon size={16} aria-hidden />
      Theme: {theme}
    </button>
  )
}

function SessionButton({ onSignIn }: { onSignIn: () => void }) {
  const token = useToken()
  return token ? (
    <button type="button" className="rail-button" onClick={() => setToken(undefined)}>
      <LogOut size={16} aria-hidden />
      Sign out
    </button>
  ) : (
    <button type="button" className="rail-button" onClick={onSignIn}>
      <KeyRound size={16} aria-hidden />
      Sign in with token
    </button>
  )
}

const Mark = () => (
  <svg
    viewBox="0 0 24 24"
    width="18"
    height="18"
    fill="none"
    stroke="currentColor"
    strokeWidth="2.6"
    strokeLinecap="round"
    strokeLinejoin="round"
    aria-hidden="true"
  >
    <path d="M4 18V7l8 8 8-8v11" />
  </svg>
)
