// routesig::analysis: do prompts of one task route more alike?
#include <array>
#include <iostream>
#include <routesig/analysis.hpp>
#include <vector>

int main() {
  std::vector<double> similarity(100, 0.5);  // 10 prompts: 0.9 within a task, 0.5 across
  std::array<int, 10> task{};
  for (std::size_t i = 0; i < 10; ++i) task[i] = i < 5 ? 0 : 1;
  for (std::size_t i = 0; i < 10; ++i)
    for (std::size_t j = 0; j < 10; ++j)
      if (task[i] == task[j]) similarity[i * 10 + j] = 0.9;
  std::cout << "difference " << *routesig::separation(similarity, task).difference() << '\n';
}
