// A program's whole life, over and over: spawn, exec, exit, wait.
#pragma once

#include <string>

#include "ctrl/base/status.h"

namespace sluice::perf {

class Spawner {
 public:
  // The program is sluice-bench-exec, beside sluice-bench. NotFound: it is not there.
  static StatusOr<Spawner> Create();

  struct Spent {
    double seconds = 0;
    double cpu_seconds = 0;  // of this thread and of the programs
  };
  // `lives` of them, one after the other. An error when one did not end with 0. No other thread waits for children
  // meanwhile.
  StatusOr<Spent> Run(int lives) const;
  // Seconds of the same on several threads at a time, each with `lives`, wherever the scheduler puts them.
  StatusOr<double> RunOnThreads(int threads, int lives) const;
  const std::string& path() const { return path_; }

 private:
  explicit Spawner(std::string path) : path_(std::move(path)) {}
  Status Live() const;

  std::string path_;
};

}  // namespace sluice::perf
