#include "runtime/grammar/alike.h"

#include <algorithm>

namespace llamajit {
namespace {

// SplitMix64's finaliser.
std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  hash += value + 0x9E3779B97F4A7C15;
  hash = (hash ^ hash >> 30) * 0xBF58476D1CE4E5B9;
  hash = (hash ^ hash >> 27) * 0x94D049BB133111EB;
  return hash ^ hash >> 31;
}

// The kinds of edges. Each number is mixed in by itself: mixed() adds its two, and of numbers that aren't hashes yet
// many pairs have one sum.
enum class Edge : std::uint8_t { byte, call, jump };
std::uint64_t edge_hash(Edge kind, std::uint64_t first, std::uint64_t second) {
  return mixed(mixed(mixed(0, static_cast<std::uint64_t>(kind)), first), second);
}

}  // namespace

std::vector<std::vector<std::uint64_t>> alike_for(const Grammar& grammar,
                                                  std::span<const std::size_t> lengths) {
  std::vector<std::vector<std::uint64_t>> found;
  std::vector<std::uint64_t> now(grammar.nodes()), before(grammar.nodes());
  for (std::size_t node = 0; node < now.size(); ++node) {
    now[node] = grammar.ends(static_cast<Grammar::NodeId>(node)) ? 1 : 0;
  }
  std::vector<std::uint64_t> edges;
  for (std::size_t bytes = 1; found.size() < lengths.size(); ++bytes) {
    now.swap(before);
    for (std::size_t n = 0; n < now.size(); ++n) {
      const auto node = static_cast<Grammar::NodeId>(n);
      edges.clear();
      for (const Grammar::ByteEdge& edge : grammar.byte_edges(node)) {
        edges.push_back(edge_hash(Edge::byte, edge.classes, before[edge.target]));
      }
      // What follows a call or a jump is the same only if it is the same node, as neither may take any byte.
      for (const Grammar::CallEdge& call : grammar.calls(node))
        edges.push_back(edge_hash(Edge::call, call.begin, call.target));
      for (const Grammar::NodeId target : grammar.jumps(node))
        edges.push_back(edge_hash(Edge::jump, target, 0));
      std::ranges::sort(edges);
      std::uint64_t hash = grammar.ends(node) ? 1 : 0;
      for (const std::uint64_t edge : edges) hash = mixed(hash, edge);
      now[n] = hash;
    }
    if (bytes == lengths[found.size()]) found.push_back(now);
  }
  return found;
}

}  // namespace llamajit
