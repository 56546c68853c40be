// The page is rendered on the server. What changes is fetched as a whole page, and put in place of what is there: what
// is the same stays, so focus, reading and what is being typed are not disturbed.

const html = new WeakMap(); // message -> what the server sent, before scripts touched it

/** Remember what the server sent. */
export function remember() {
  for (const child of document.getElementById("thread").children) html.set(child, child.outerHTML);
}

/** Put a page that was fetched in place of this one. */
export function swap(fetched) {
  const main = document.getElementById("main");
  const wanted = fetched.getElementById("main");
  const thread = document.getElementById("thread");
  keyed(thread, fetched.getElementById("thread"));
  around(main, wanted, thread);
  Object.assign(main.dataset, { conversation: "", number: "0" }, { ...wanted.dataset });
  composer(fetched);
  for (const id of ["menu", "model"]) {
    const there = document.getElementById(id);
    const other = fetched.getElementById(id);
    if (there.innerHTML !== other.innerHTML && !there.matches(":popover-open")) there.replaceChildren(...other.childNodes);
  }
  document.title = fetched.title;
}

/** Messages and cards by their ids. */
function keyed(thread, wanted) {
  let at = thread.firstElementChild;
  for (const made of [...wanted.children]) {
    const text = made.outerHTML;
    const there = made.id ? document.getElementById(made.id) : null;
    const same = there && (html.get(there) === text || (made.dataset.answer && there.dataset.answer));
    const child = same ? there : made;
    if (!same) html.set(made, text);
    if (child === at) {
      at = at.nextElementSibling;
    } else {
      if (there && !same && there === at) at = at.nextElementSibling;
      if (there && !same) there.remove();
      thread.insertBefore(child, at);
    }
  }
  while (at) {
    const next = at.nextElementSibling;
    at.remove();
    at = next;
  }
}

/** What stands before and behind the messages. */
function around(main, wanted, thread) {
  for (const child of [...main.children]) {
    if (child !== thread && !(child.id === "state" && same(child, wanted.querySelector("#state")))) child.remove();
  }
  let behind = false;
  for (const child of [...wanted.children]) {
    if (child.id === "thread") behind = true;
    else if (child.id === "state" && main.querySelector("#state")) main.append(main.querySelector("#state"));
    else if (behind) main.append(child);
    else thread.before(child);
  }
}

function same(child, wanted) {
  const plain = (element) => element.innerHTML.replace(/ name="key" value="[^"]*"/g, "").replace(/ open=""/g, "");
  return plain(child) === plain(wanted);
}

/** The composer stays as it is: only what it says about the place where it writes is new. */
function composer(fetched) {
  for (const id of ["composer", "stopper"]) {
    const there = document.getElementById(id);
    const wanted = fetched.getElementById(id);
    if (!wanted) {
      there?.remove();
    } else if (!there) {
      document.getElementById("page").append(wanted);
    } else {
      for (const field of wanted.querySelectorAll("input[type=hidden]:not([name=attached])")) {
        there.querySelector(`input[name="${field.name}"]`).value = field.value;
      }
      const go = there.querySelector("#go");
      const other = wanted.querySelector("#go");
      if (go && go.innerHTML !== other.innerHTML) go.replaceChildren(...other.children);
    }
  }
}
