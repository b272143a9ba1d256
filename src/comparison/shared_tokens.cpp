#include "routesig/comparison/shared_tokens.hpp"

#include <algorithm>
#include <cstddef>

#include "routesig/error.hpp"
#include "routesig/routing.hpp"
#include "routesig/trace_columns.hpp"

namespace routesig {

SharedTokens shared_tokens(const RoutingTrace& a, const RoutingTrace& b) {
  const auto prompt_tokens = [](const RoutingTrace& trace) {
    return static_cast<std::size_t>(std::ranges::count(trace.columns().types, TokenType::prompt));
  };
  const TraceColumns &x = a.columns(), &y = b.columns();
  const std::size_t left = x.positions.size(), right = y.positions.size();
  SharedTokens out;
  if (left == 0 || right == 0 || x.token_ids.empty() || y.token_ids.empty()) {
    out.incomparable = left == 0 || right == 0 ? "no tokens were recorded" : "no token ids were recorded";
    return out;
  }
  std::size_t same = 0;
  for (; same < std::min(left, right); ++same) {
    if (x.positions[same] != y.positions[same] || x.token_ids[same] != y.token_ids[same]) break;
    out.tokens.push_back({static_cast<int>(same), static_cast<int>(same)});
  }
  if (same < left)
    out.parts_at = x.positions[same];
  else if (same < right)
    out.parts_at = y.positions[same];
  if (same < std::max(prompt_tokens(a), prompt_tokens(b))) {
    out.incomparable = sentence("its prompt tokens differ (from position ", *out.parts_at, " on)");
    out.tokens.clear();
  }
  return out;
}

}  // namespace routesig
