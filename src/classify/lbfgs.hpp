/// \file lbfgs.hpp
/// Minimises a smooth convex function by limited-memory BFGS (Liu and Nocedal, Math. Programming 1989), asking its
/// caller for values instead of calling a function: several minimisations can then share one pass over the data.
///
///     routesig::Lbfgs search(std::vector<double>(size), {.tolerance = 1e-10});
///     while (!search.done()) search.tell(value_and_gradient(search.point(), search.gradient()));
#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace routesig {

struct LbfgsOptions {
  double tolerance = 1e-10;     ///< converged where no entry of the gradient is larger
  int max_iterations = 10'000;  ///< accepted steps
};

class Lbfgs {
 public:
  explicit Lbfgs(const std::vector<double>& start, LbfgsOptions options = {})
      : options_(options),
        point_(Eigen::Map<const Eigen::VectorXd>(start.data(), static_cast<Eigen::Index>(start.size()))),
        gradient_(Eigen::VectorXd::Zero(point_.size())),
        base_(point_),
        base_gradient_(gradient_),
        direction_(gradient_) {}

  /// Where the value and the gradient are wanted next; once done, where the search ended.
  [[nodiscard]] std::span<const double> point() const noexcept { return {point_.data(), size()}; }
  /// To be filled with the gradient at `point()` before `tell`.
  [[nodiscard]] std::span<double> gradient() noexcept { return {gradient_.data(), size()}; }

  [[nodiscard]] bool done() const noexcept { return done_; }
  [[nodiscard]] bool converged() const noexcept { return converged_; }
  [[nodiscard]] int iterations() const noexcept { return iterations_; }

  /// The value at `point()`.
  void tell(double value) {
    if (started_ && !acceptable(value)) return;
    if (started_) remember();
    started_ = true;
    base_value_ = value;
    base_ = point_;
    base_gradient_ = gradient_;
    converged_ = size() == 0 || gradient_.lpNorm<Eigen::Infinity>() <= options_.tolerance;
    done_ = converged_ || iterations_ >= options_.max_iterations;
    if (!done_) set_out();
  }

 private:
  static constexpr std::size_t kMemory = 16;                   // pairs of steps and gradient changes that are kept
  static constexpr int kTrials = 30;                           // points tried along one direction
  static constexpr double kDecrease = 1e-4, kCurvature = 0.9;  // the strong Wolfe conditions

  struct Pair {
    Eigen::VectorXd step, change;
    double inner = 0.0;  // step . change
  };

  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(point_.size()); }

  /// Whether the trial point meets the Wolfe conditions; if not, sets the next one. The slope of a convex function only
  /// grows along a line, so that the sign of what is wrong says which way to go.
  [[nodiscard]] bool acceptable(double value) {
    const double slope = gradient_.dot(direction_);
    const double rounding = 64.0 * std::numeric_limits<double>::epsilon() * std::abs(base_value_);
    const bool high = !(value <= base_value_ + kDecrease * length_ * base_slope_ + rounding);
    const bool far = high || slope > -kCurvature * base_slope_, near = !far && slope < kCurvature * base_slope_;
    if (!far && !near) return true;
    if (++trials_ >= kTrials) {  // rounding keeps the line search from any progress: stay where we stood
      point_ = base_;
      gradient_ = base_gradient_;
      done_ = true;
      return false;
    }
    if (far) {
      longest_ = length_;
      longest_slope_ = slope;
    } else {
      shortest_ = length_;
      shortest_slope_ = slope;
    }
    length_ = next_length();
    point_ = base_ + length_ * direction_;
    return false;
  }

  /// Where the slope would vanish if it were linear, kept well inside what is known to hold the minimum.
  [[nodiscard]] double next_length() const {
    if (!std::isfinite(longest_)) {
      const double secant = length_ * base_slope_ / (base_slope_ - shortest_slope_);
      return std::clamp(std::isfinite(secant) ? secant : 10.0 * length_, 2.0 * length_, 10.0 * length_);
    }
    const double width = longest_ - shortest_;
    double share = 0.5;
    if (longest_slope_ > 0.0 && std::isfinite(longest_slope_))
      share = std::clamp(-shortest_slope_ / (longest_slope_ - shortest_slope_), 0.1, 0.9);
    return shortest_ + share * width;
  }

  void remember() {
    ++iterations_;
    Pair pair{.step = point_ - base_, .change = gradient_ - base_gradient_};
    pair.inner = pair.step.dot(pair.change);
    if (!(pair.inner > 0.0)) return;
    if (pairs_.size() == kMemory) pairs_.erase(pairs_.begin());
    pairs_.push_back(std::move(pair));
  }

  /// The two-loop recursion, then the first trial point along the direction that it gives.
  void set_out() {
    direction_ = -gradient_;
    std::vector<double> factors(pairs_.size());
    for (std::size_t i = pairs_.size(); i-- > 0;) {
      factors[i] = pairs_[i].step.dot(direction_) / pairs_[i].inner;
      direction_ -= factors[i] * pairs_[i].change;
    }
    if (!pairs_.empty()) direction_ *= pairs_.back().inner / pairs_.back().change.squaredNorm();
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      const double back = pairs_[i].change.dot(direction_) / pairs_[i].inner;
      direction_ += (factors[i] - back) * pairs_[i].step;
    }
    base_slope_ = gradient_.dot(direction_);
    if (!(base_slope_ < 0.0)) {  // rounding has spoilt the memory
      pairs_.clear();
      direction_ = -gradient_;
      base_slope_ = -gradient_.squaredNorm();
    }
    length_ = pairs_.empty() ? 1.0 / std::max(1e-300, direction_.norm()) : 1.0;
    shortest_ = 0.0;
    shortest_slope_ = base_slope_;
    longest_ = longest_slope_ = std::numeric_limits<double>::infinity();
    trials_ = 0;
    point_ = base_ + length_ * direction_;
  }

  LbfgsOptions options_;
  Eigen::VectorXd point_, gradient_;                  // of the trial
  Eigen::VectorXd base_, base_gradient_, direction_;  // where the line begins
  double base_value_ = 0.0, base_slope_ = 0.0;
  double length_ = 1.0, shortest_ = 0.0, longest_ = 0.0, shortest_slope_ = 0.0, longest_slope_ = 0.0;
  std::vector<Pair> pairs_;
  int iterations_ = 0, trials_ = 0;
  bool started_ = false, done_ = false, converged_ = false;
};

}  // namespace routesig
