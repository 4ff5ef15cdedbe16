// Whether the machine was quiet while something was measured: a fixed loop before and after must take as long as it
// takes alone. A round that was disturbed is repeated, and that is said.
//
//   QuietCheck quiet = QuietCheck::Start(options.quiet_check);
//   do {
//     quiet.BeginRound();
//     ... take one sample of each row ...
//   } while (quiet.MustRepeat(round) && DropTheLastSamples());
//
// The loop sees what else ran on this CPU and on its caches at these two moments, and nothing that came and went in
// between. Not thread-safe; use it on the thread that measures.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace sluice::perf {

class QuietCheck {
 public:
  // Nanoseconds that the loop took, by the wall clock: what other programs take of the CPU counts.
  using Loop = std::function<double()>;

  // Measures the loop's own time first. `on` false: every round is quiet, and nothing is said.
  static QuietCheck Start(bool on);
  // The same with another loop, for tests.
  QuietCheck(bool on, Loop loop);

  // Waits for a quiet moment, but not for long.
  void BeginRound();
  // At the end of a round: whether it was disturbed and is worth another try. `round`: for the note, from 0.
  bool MustRepeat(int round);

  // What happened, for the report: one line for each disturbed round, and one with the loop's times.
  const std::vector<std::string>& notes() const { return notes_; }
  void Finish();

 private:
  double Measure();

  bool on_ = false;
  Loop loop_;
  double best_ = 0;  // the shortest so far
  double worst_ = 0;
  double before_ = 0;  // this round's first
  int repeated_ = 0;
  int disturbed_ = 0;
  std::vector<std::string> notes_;
};

}  // namespace sluice::perf
