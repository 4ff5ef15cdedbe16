// A program's whole instance, over and over: spawn, exec, exit, wait.
#pragma once

#include <string>

#include "base/status.h"

namespace sluice::perf {

class Spawner {
 public:
  // Of sluice-bench-exec, beside sluice-bench: the shortest instance that a program can have. NotFound: it is not
  // there.
  static StatusOr<Spawner> OfShortest();
  // Of a copy of /bin/true, which nobody else starts: an ordinary program, with a loader and a library.
  static StatusOr<Spawner> OfOrdinary();

  struct Spent {
    double seconds = 0;
    double cpu_seconds = 0;  // of who starts them, and of the programs
  };
  // `instances` of them, one after the other. An error when one did not end with 0. A process of its own starts them:
  // in one that has a busy thread on another CPU, as the sensors', each start would interrupt that CPU to flush what it
  // knows of the memory that both share.
  StatusOr<Spent> Run(int instances) const;
  // Seconds of the same on several threads at a time, each with `instances`, wherever the scheduler puts them.
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
