#include "perf/quiet_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>

namespace sluice::perf {
namespace {

constexpr double kDisturbed = 1.15;  // times the shortest loop; a quiet machine's loops differ by a few percent
constexpr int kRepeats = 3;          // of one run's rounds, all together
constexpr int kCalibration = 5;
constexpr int kWaits = 10;
constexpr std::chrono::milliseconds kPause{200};

// Dependent multiplications, then dependent reads of memory that is larger than a core's own caches: the first is slow
// when others have the CPU, the second also when they have the shared cache.
class FixedLoop {
 public:
  FixedLoop() : next_(kCells) {
    for (std::uint32_t i = 0; i < kCells; ++i) next_[i] = (i * kStride + 1) % kCells;  // one cycle through all cells
  }
  double operator()() {
    std::uint32_t sum = 0;
    for (const std::uint32_t next : next_) sum += next;  // the round before has used the caches for other things
    asm volatile("" : : "r"(sum));
    const auto begin = std::chrono::steady_clock::now();
    std::uint64_t product = 1;
    for (int i = 0; i < kMultiplications; ++i) product = product * 6364136223846793005ULL + at_;
    std::uint32_t at = at_;
    for (int i = 0; i < kReads; ++i) at = next_[at];
    at_ = at;
    asm volatile("" : : "r"(product));  // so that it is computed
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count();
  }

 private:
  static constexpr std::uint32_t kCells = 1U << 20U;  // 4 MB
  // By the theorem of Hull and Dobell, x * kStride + 1 modulo a power of two visits every cell.
  static constexpr std::uint32_t kStride = 1664525;
  static constexpr int kMultiplications = 8'000'000, kReads = 400'000;

  std::vector<std::uint32_t> next_;
  std::uint32_t at_ = 0;
};

}  // namespace

QuietCheck QuietCheck::Start(bool on) {
  if (!on) return QuietCheck(false, [] { return 0.0; });
  return QuietCheck(true, [loop = std::make_shared<FixedLoop>()] { return (*loop)(); });
}

QuietCheck::QuietCheck(bool on, Loop loop) : on_(on), loop_(std::move(loop)) {
  for (int i = 0; on_ && i < kCalibration; ++i) Measure();
  worst_ = best_;
}

double QuietCheck::Measure() {
  const double took = loop_();
  best_ = best_ == 0 ? took : std::min(best_, took);
  worst_ = std::max(worst_, took);
  return took;
}

void QuietCheck::BeginRound() {
  if (!on_) return;
  before_ = Measure();
  for (int i = 0; i < kWaits && before_ > best_ * kDisturbed; ++i) {
    std::this_thread::sleep_for(kPause);
    before_ = Measure();
  }
}

bool QuietCheck::MustRepeat(int round) {
  if (!on_) return false;
  const double after = Measure();
  const double slowest = std::max(before_, after) / best_;
  if (slowest <= kDisturbed) return false;
  const bool again = repeated_ < kRepeats;
  ++(again ? repeated_ : disturbed_);
  notes_.push_back(fmt::format("round {} was disturbed (the fixed loop took {:.2f} times as long {} it) and {}",
                               round + 1, slowest, after >= before_ ? "after" : "before",
                               again ? "is repeated" : "stands, as enough rounds were repeated"));
  return again;
}

void QuietCheck::Finish() {
  if (!on_) return;
  notes_.push_back(fmt::format("quiet check: the fixed loop took {:.1f} to {:.1f} ms; {} rounds repeated, {} disturbed",
                               best_ / 1e6, worst_ / 1e6, repeated_, disturbed_));
}

}  // namespace sluice::perf
