#include "routesig/comparison/matched_similarity.hpp"

#include "routesig/error.hpp"

namespace routesig {
namespace detail {

void check_matched(const SignatureView& a, const SignatureView& b) {
  check_same_shape(a, b);
  if (a.prompts != b.prompts)
    throw invalid_argument("similarity: expected the same prompts, got ", a.prompts, " and ", b.prompts);
}

}  // namespace detail
}  // namespace routesig
