// A conversation is a tree of messages. The page shows one branch of it: the path from the root to `leaf`.

export class Tree {
  constructor(messages = []) {
    this.nodes = new Map(); // in the order in which they came
    this.below = new Map(); // parent, or null for the roots -> the messages below it
    for (const message of messages) this.put({ ...message });
    this.leaf = messages.length ? messages[messages.length - 1].node : null;
    this.made = 0;
  }

  get(id) {
    return this.nodes.get(id);
  }

  put(node) {
    if (!this.nodes.has(node.parent)) node.parent = null;
    this.nodes.set(node.node, node);
    if (!this.below.has(node.parent)) this.below.set(node.parent, []);
    this.below.get(node.parent).push(node);
    return node;
  }

  /** Write a message below `parent`. Its id is the page's own; the server is told texts, never these ids. */
  add(parent, role, text) {
    return this.put({ node: `page-${++this.made}`, parent, role, text, stage: null });
  }

  /** Take a message out that the server has not kept; it has nothing below it. */
  remove(id) {
    const node = this.nodes.get(id);
    this.nodes.delete(id);
    this.below.set(node.parent, this.below.get(node.parent).filter((other) => other !== node));
    if (this.leaf === id) this.leaf = node.parent;
  }

  path(leaf = this.leaf) {
    const path = [];
    for (let node = this.nodes.get(leaf); node; node = this.nodes.get(node.parent)) path.push(node);
    return path.reverse();
  }

  /** The versions of a message, itself among them. */
  siblings(node) {
    return this.below.get(node.parent).filter((other) => other.role === node.role);
  }

  /** Show the branch through `id` that was written to last. */
  show(id) {
    const below = new Set([id]);
    this.leaf = id;
    for (const node of this.nodes.values()) {
      if (!below.has(node.parent)) continue;
      below.add(node.node);
      this.leaf = node.node;
    }
  }
}
