import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";

/** The position as a small external store: only the parts of the page that show it are drawn again. */
export class Clock {
  private value = 0;
  private readonly listeners = new Set<() => void>();

  set(value: number): void {
    if (value === this.value) return;
    this.value = value;
    for (const listener of this.listeners) listener();
  }

  get = (): number => this.value;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
}

/** Follows the clock through `select`; draws again only when what it gives changes. */
export function useClock<T>(clock: Clock, select: (seconds: number) => T): T {
  return useSyncExternalStore(clock.subscribe, () => select(clock.get()));
}

export interface PlayerState {
  audio: (element: HTMLAudioElement | null) => void;
  clock: Clock;
  playing: boolean;
  failed: boolean;
  /** Seconds, as the browser found them; null before. */
  length: number | null;
  rate: number;
  toggle: () => void;
  /** Go to a time and play from there. */
  seek: (seconds: number) => void;
  /** Go to a time; plays only if it was playing. */
  move: (seconds: number) => void;
  setRate: (rate: number) => void;
}

export function usePlayer(): PlayerState {
  const [clock] = useState(() => new Clock());
  const [element, setElement] = useState<HTMLAudioElement | null>(null);
  const [playing, setPlaying] = useState(false);
  const [failed, setFailed] = useState(false);
  const [length, setLength] = useState<number | null>(null);
  const [rate, setRateState] = useState(1);
  const current = useRef<HTMLAudioElement | null>(null);
  current.current = element;

  useEffect(() => {
    if (!element) return undefined;
    let frame = 0;
    const tick = (): void => {
      clock.set(element.currentTime);
      if (!element.paused) frame = requestAnimationFrame(tick);
    };
    const onPlay = (): void => {
      setPlaying(true);
      cancelAnimationFrame(frame);
      tick();
    };
    const onPause = (): void => setPlaying(false);
    const onSeek = (): void => clock.set(element.currentTime);
    const onError = (): void => setFailed(true);
    const onReady = (): void => {
      setFailed(false);
      setLength(Number.isFinite(element.duration) ? element.duration : null);
    };
    element.addEventListener("play", onPlay);
    element.addEventListener("pause", onPause);
    element.addEventListener("seeking", onSeek);
    element.addEventListener("error", onError);
    element.addEventListener("loadedmetadata", onReady);
    return () => {
      cancelAnimationFrame(frame);
      element.removeEventListener("play", onPlay);
      element.removeEventListener("pause", onPause);
      element.removeEventListener("seeking", onSeek);
      element.removeEventListener("error", onError);
      element.removeEventListener("loadedmetadata", onReady);
    };
  }, [element, clock]);

  const play = useCallback((audio: HTMLAudioElement) => {
    void audio.play().catch(() => setPlaying(false));
  }, []);
  const move = useCallback(
    (seconds: number) => {
      const audio = current.current;
      const target = Math.max(0, seconds);
      if (audio) audio.currentTime = target;
      clock.set(target);
    },
    [clock],
  );
  const seek = useCallback(
    (seconds: number) => {
      move(seconds);
      if (current.current) play(current.current);
    },
    [move, play],
  );
  const toggle = useCallback(() => {
    const audio = current.current;
    if (!audio) return;
    if (audio.paused) play(audio);
    else audio.pause();
  }, [play]);
  const setRate = useCallback((next: number) => {
    if (current.current) current.current.playbackRate = next;
    setRateState(next);
  }, []);

  return useMemo(
    () => ({ audio: setElement, clock, playing, failed, length, rate, toggle, seek, move, setRate }),
    [clock, playing, failed, length, rate, toggle, seek, move, setRate],
  );
}
