// What the scripts say, in the page's language: the server writes it into the page.

const table = JSON.parse(document.getElementById("words").textContent);

/** The text `key`, with what stands in braces filled in from `values`. */
export function word(key, values = {}) {
  return (table[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
