#include "classify/tables.hpp"

#include "routesig/parallel.hpp"

namespace routesig::detail {

Eigen::MatrixXd gram(const Eigen::Ref<const Table>& a) {
  Eigen::MatrixXd out(a.rows(), a.rows());
  parallel_for(static_cast<std::size_t>(a.rows()), 64, [&](std::size_t begin, std::size_t end) {
    const auto first = static_cast<Eigen::Index>(begin), rows = static_cast<Eigen::Index>(end - begin);
    const auto own = a.middleRows(first, rows);
    out.block(first, 0, rows, first).noalias() = own * a.topRows(first).transpose();
    out.block(first, first, rows, rows).triangularView<Eigen::Lower>() = own * own.transpose();
  });
  out.triangularView<Eigen::StrictlyUpper>() = out.transpose();
  return out;
}

}  // namespace routesig::detail
