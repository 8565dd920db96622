/** localStorage/sessionStorage that never throw (private windows, full quota, blocked storage). */

export function readText(key: string, store: () => Storage = () => localStorage): string | null {
  try {
    return store().getItem(key);
  } catch {
    return null;
  }
}

export function writeText(key: string, value: string | null, store: () => Storage = () => localStorage): boolean {
  try {
    if (value === null) store().removeItem(key);
    else store().setItem(key, value);
    return true;
  } catch {
    return false;
  }
}

export const session = (): Storage => sessionStorage;
