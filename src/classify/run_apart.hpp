/// \file run_apart.hpp
/// Work of a library's that nobody can interrupt inside.
///
///     const auto factor = detail::run_apart([matrix] { return Eigen::LLT<Eigen::MatrixXd>(matrix); });
#pragma once

#include <future>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>

#include "routesig/interrupt.hpp"

namespace routesig::detail {

/// work() for what has no points and cannot be given any, such as a library's decomposition of a large matrix: on a
/// thread of its own where anybody may interrupt, while this thread waits and passes points. What is interrupted leaves
/// at once; the work then ends unseen, and so has to own all that it uses.
template <typename Work>
[[nodiscard]] std::invoke_result_t<Work&> run_apart(Work work) {
  const Heeded& here = heeded();
  if (here.caller == nullptr && here.ended == nullptr) return work();
  const auto task = std::make_shared<std::packaged_task<std::invoke_result_t<Work&>()>>(std::move(work));
  auto result = task->get_future();
  std::thread([task] { (*task)(); }).detach();
  while (result.wait_for(Interruptible::kInterval) != std::future_status::ready) interruption_point();
  return result.get();
}

}  // namespace routesig::detail
