// Runs a program's whole instance repeatedly: spawn, exec, exit, wait.
#pragma once

#include <string>

#include "base/status.h"

namespace sluice::perf {

class Spawner {
 public:
  // Runs sluice-bench-exec, which is beside sluice-bench: the shortest possible instance. NotFound: the file is
  // missing.
  static StatusOr<Spawner> OfShortest();
  // Runs a copy of /bin/true that nothing else starts: an ordinary program with a loader and a library.
  static StatusOr<Spawner> OfOrdinary();

  struct Spent {
    double seconds = 0;
    double cpu_seconds = 0;  // of the starting process and of the programs
  };
  // Runs `instances` one after another. An error when one did not exit with 0. A separate process starts them: in a
  // process with a busy thread on another CPU, like the sensors' thread, each start would interrupt that CPU for a TLB
  // flush.
  StatusOr<Spent> Run(int instances) const;
  // The same on several threads at once, `instances` each, without pinning. Returns seconds.
  StatusOr<double> RunOnThreads(int threads, int instances) const;
  const std::string& path() const { return path_; }

 private:
  explicit Spawner(std::string path) : path_(std::move(path)) {}
  static StatusOr<Spawner> Of(const char* name);
  StatusOr<Spent> RunHere(int instances) const;
  Status Live() const;

  std::string path_;
};

}  // namespace sluice::perf
