// A program's whole life, over and over: spawn, exec, exit, wait.
#pragma once

#include <string>

#include "ctrl/base/status.h"

namespace sluice::perf {

class Spawner {
 public:
  // The program is sluice-bench-exec, beside sluice-bench. NotFound: it is not there.
  static StatusOr<Spawner> Create();

  // Seconds that `lives` of them took, one after the other. An error when one did not end with 0.
  StatusOr<double> Run(int lives) const;
  // The same on several threads at a time, each with `lives`, wherever the scheduler puts them.
  StatusOr<double> RunOnThreads(int threads, int lives) const;
  const std::string& path() const { return path_; }

 private:
  explicit Spawner(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace sluice::perf
