// The counter, with events that the kernel counts on any machine: first accesses to pages.
#include "perf/event_counter.h"

#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>

namespace sluice::perf {
namespace {

constexpr std::uint64_t kPages = 1000;
constexpr std::uint64_t kFew = kPages / 2;  // more than all other pages that the thread touches meanwhile

// Pages of one mapping; each is in memory only after an access.
class FreshPages {
 public:
  FreshPages() : bytes_(kPages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE))) {
    memory_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_NE(memory_, MAP_FAILED);
    madvise(memory_, bytes_, MADV_NOHUGEPAGE);
  }
  ~FreshPages() { munmap(memory_, bytes_); }
  FreshPages(const FreshPages&) = delete;
  FreshPages& operator=(const FreshPages&) = delete;

  void Touch() {
    for (std::uint64_t at = 0; at < bytes_; at += bytes_ / kPages) static_cast<volatile char*>(memory_)[at] = 1;
  }

 private:
  std::uint64_t bytes_;
  char* memory_;
};

class BenchEventCounter : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = EventCounter::Open(
        {.name = "page faults", .type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_PAGE_FAULTS, .in_kernel = false});
    if (absl::IsPermissionDenied(opened.status())) GTEST_SKIP() << opened.status();
    ASSERT_TRUE(opened.ok()) << opened.status();
    counter_.emplace(*std::move(opened));
  }
  std::uint64_t Stop() {
    const auto counted = counter_->Stop();
    EXPECT_TRUE(counted.ok()) << counted.status();
    return counted.value_or(0);
  }

  std::optional<EventCounter> counter_;
};

TEST_F(BenchEventCounter, CountsWhatHappensBetweenStartAndStop) {
  FreshPages before, between, after;
  before.Touch();
  ASSERT_TRUE(counter_->Start().ok());
  between.Touch();
  const std::uint64_t counted = Stop();
  after.Touch();
  EXPECT_GE(counted, kPages);
  EXPECT_LT(counted, kPages + kFew);
}

TEST_F(BenchEventCounter, EachStartCountsAnew) {
  FreshPages first, second;
  ASSERT_TRUE(counter_->Start().ok());
  first.Touch();
  EXPECT_GE(Stop(), kPages);
  second.Touch();
  ASSERT_TRUE(counter_->Start().ok());
  EXPECT_LT(Stop(), kFew);
}

TEST_F(BenchEventCounter, CountsNothingOfOtherThreads) {
  FreshPages pages;
  ASSERT_TRUE(counter_->Start().ok());
  std::thread([&] { pages.Touch(); }).join();
  EXPECT_LT(Stop(), kFew);
}

TEST(BenchEventCounterOpen, AnEventThatTheMachineDoesNotCountIsNamed) {
  const auto counter = EventCounter::Open({.name = "wishes", .type = PERF_TYPE_SOFTWARE, .config = 1 << 20});
  ASSERT_FALSE(counter.ok());
  EXPECT_NE(Message(counter.status()).find("wishes"), std::string::npos) << counter.status();
}

}  // namespace
}  // namespace sluice::perf
