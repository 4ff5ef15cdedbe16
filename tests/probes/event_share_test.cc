// The ring of process events has a share for each workload: one that forks and executes at full speed loses only its
// own events.
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "testbed/netns.h"
#include "tests/probes/sensor_test.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

// One after the other.
void SpawnMany(int count, const std::string& argument = "x") {
  const std::string program = True();
  char* argv[] = {const_cast<char*>("true"), const_cast<char*>(argument.c_str()), nullptr};
  for (int i = 0; i < count; ++i) {
    pid_t pid = -1;
    if (posix_spawn(&pid, program.c_str(), nullptr, nullptr, argv, environ) != 0) std::abort();
    Reap(pid);
  }
}

std::string CgroupRoot() {
  return std::filesystem::exists("/sys/fs/cgroup/unified") ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
}

// A network namespace and a cgroup, like a pod's.
class EventPod {
 public:
  explicit EventPod(const std::string& name)
      : group_(CgroupRoot() + "/sluice-" + name + "-" + std::to_string(getpid())), netns_(TestNetNs::Create(name)) {
    std::filesystem::create_directory(group_);
  }
  ~EventPod() { std::filesystem::remove(group_); }

  // A child that enters the pod before `body`.
  pid_t Run(const std::function<void()>& body) const {
    return Fork([&] {
      std::ofstream(group_ + "/cgroup.procs") << getpid() << std::flush;
      if (setns(netns_->fd(), CLONE_NEWNET) != 0) _exit(99);
      body();
    });
  }
  void SpawnAndWait(int count) const {
    EXPECT_EQ(Reap(Run([&] { SpawnMany(count); })), 0);
  }
  std::uint64_t cgroup() const { return InodeOf(group_); }
  std::uint32_t netns() const { return static_cast<std::uint32_t>(InodeOf(netns_->path())); }
  Status status() const { return netns_.status(); }

 private:
  static std::uint64_t InodeOf(const std::string& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
  }
  const std::string group_;
  const StatusOr<TestNetNs> netns_;
};

class EventShareTest : public testing::TestWithParam<bpf::ProcessBackEnd> {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    SL_REQUIRE_NETNS();
    if (const std::string missing = MissingForBackEnd(GetParam()); !missing.empty()) GTEST_SKIP() << missing;
    if (!std::filesystem::exists(CgroupRoot() + "/cgroup.procs")) GTEST_SKIP() << "no version 2 cgroups are mounted";
    ASSERT_TRUE(first_.status().ok()) << first_.status();
    ASSERT_TRUE(second_.status().ok()) << second_.status();
  }

  // `parts`: the number of shares to set.
  template <typename Probes>
  static void SetShares(const Probes& probes, std::uint32_t parts, const std::vector<const EventPod*>& pods) {
    const auto share_of = bpf::Map<std::uint32_t, std::uint32_t>::Bind(probes.map_fd("process_share_of"), "share_of");
    const auto freed =
        bpf::Map<std::uint32_t, sl_process_share_freed>::Bind(probes.map_fd("process_shares_freed"), "freed");
    ASSERT_TRUE(share_of.ok() && freed.ok()) << share_of.status() << freed.status();
    for (std::uint32_t i = 0; i < pods.size(); ++i)
      ASSERT_TRUE(share_of->Put(pods[i]->netns(), SL_SHARE_FIRST + i).ok());
    ASSERT_TRUE(freed->Put(SL_SHARE_TOTAL, {.freed = {}, .parts = parts}).ok());
  }

  // Nothing reads the ring.
  void Start(std::uint32_t ring_bytes, std::uint32_t parts) {
    auto probes = bpf::ProcessProbes::Start(
        {.back_end = GetParam(), .ring_bytes = ring_bytes}, [this](const void* bytes, std::size_t size) {
          const auto record = telemetry::DecodeProcessRecord({static_cast<const char*>(bytes), size});
          ASSERT_TRUE(record.ok()) << record.status();
          if (record->event() != SL_PROCESS_EVENT_SEED) told_[record->header().cgroup]++;
        });
    ASSERT_TRUE(probes.ok()) << probes.status();
    probes_ = *std::move(probes);
    SetShares(*probes_, parts, {&first_, &second_});
    ASSERT_TRUE(probes_->Seed().ok());
  }
  // Events of a pod that were in the ring.
  int Told(const EventPod& pod) {
    EXPECT_TRUE(probes_->Drain().ok());
    return told_[pod.cgroup()];
  }
  int Lost(std::uint64_t cgroup, int cause) {
    const auto losses = probes_->TakeLosses();
    EXPECT_TRUE(losses.ok()) << losses.status();
    for (const bpf::ProcessLoss& loss : *losses)
      lost_[{loss.key.cgroup, loss.key.cause}] += static_cast<int>(loss.count);
    return lost_[{cgroup, cause}];
  }

  const EventPod first_{"first"}, second_{"second"};
  std::unique_ptr<bpf::ProcessProbes> probes_;
  std::map<std::uint64_t, int> told_;  // by cgroup
  std::map<std::pair<std::uint64_t, int>, int> lost_;
};

// Nothing reads the ring meanwhile: a reported event has found room in the ring.
TEST_P(EventShareTest, AFloodOfOneLosesNothingOfAnother) {
  Start(1 << 16, 3);
  constexpr int kFlood = 150, kFew = 10;
  first_.SpawnAndWait(kFlood);
  second_.SpawnAndWait(kFew);
  // A workload with room in its share may still find no room in the ring.
  const std::uint64_t own = second_.cgroup();
  EXPECT_EQ(Lost(own, SL_PROCESS_LOSS_SHARE) + Lost(own, SL_PROCESS_LOSS_RING_FULL), 0);
  EXPECT_EQ(Reap(second_.Run([] { Exec(True(), {"true", std::string(40000, 'x')}); })), 0);
  EXPECT_EQ(Lost(own, SL_PROCESS_LOSS_RING_FULL), 1);
  EXPECT_GE(Told(second_), 3 * kFew) << "and of the children that ran them, as far as they are of the cgroup";
  const int told = Told(first_), lost = Lost(first_.cgroup(), SL_PROCESS_LOSS_SHARE);
  EXPECT_GT(lost, 0);
  EXPECT_EQ(Lost(first_.cgroup(), SL_PROCESS_LOSS_RING_FULL), 0);
  EXPECT_EQ(told + lost, 3 * kFlood);
  // Once the ring is read, events fit again.
  first_.SpawnAndWait(kFew);
  EXPECT_EQ(Told(first_), told + 3 * kFew);
}

TEST_P(EventShareTest, ABurstIsNotRefusedWhileTheRingIsLessThanHalfFull) {
  Start(1 << 18, 1000);
  constexpr int kBurst = 100;
  first_.SpawnAndWait(kBurst);
  EXPECT_EQ(Lost(first_.cgroup(), SL_PROCESS_LOSS_SHARE), 0);
  EXPECT_EQ(Told(first_), 3 * kBurst);
}

// The sensor as in production. Its reader is slow for the flood's events, so that it is a flood on every machine.
TEST_P(EventShareTest, WhileOneFloodsAnotherIsToldWholeAndTheTreeIsSeldomReadAgain) {
  constexpr auto kHealInterval = 100ms;
  constexpr int kFew = 50;
  const std::uint64_t slow = first_.cgroup();
  auto made = SensorFixture::Create(
      {.probes = {.back_end = GetParam(), .ring_bytes = 1 << 18},
       .names = {.workload = [slow](const telemetry::ProcessInstance& instance) -> std::optional<policy::ObjectName> {
         if (instance.cgroup == slow) std::this_thread::sleep_for(20ms);
         return {};
       }},
       .heal_interval = kHealInterval});
  ASSERT_TRUE(made.ok()) << made.status();
  SensorFixture& fixture = **made;
  SetShares(fixture.sensor(), 3, {&first_, &second_});
  const auto begin = std::chrono::steady_clock::now();
  std::vector<pid_t> flood;
  for (int i = 0; i < 3; ++i)
    flood.push_back(first_.Run([] {
      for (;;) SpawnMany(1000, std::string(8000, 'x'));
    }));
  Gate gate;
  const pid_t parent = second_.Run([&] {
    gate.Wait();
    for (int i = 0; i < kFew; ++i) {
      SpawnMany(1);
      std::this_thread::sleep_for(10ms);
    }
  });
  gate.Open();
  EXPECT_EQ(Reap(parent), 0);
  for (const pid_t pid : flood) kill(pid, SIGKILL);
  for (const pid_t pid : flood) Reap(pid);
  const auto lost = fixture.WaitFor([&](const v1::Event& event) {
    return event.has_lost() && event.lost().cgroup_id() == first_.cgroup() &&
           event.lost().cause() == "PROCESS_WORKLOAD_SHARE";
  });
  EXPECT_TRUE(lost.ok()) << lost.status();
  const auto events = fixture.Settle();
  ASSERT_TRUE(events.ok()) << events.status();
  const telemetry::ProcessSensor::Counters counters = fixture.sensor().counters();
  const auto took = std::chrono::steady_clock::now() - begin;
  int execs = 0;
  for (const v1::Event& event : *events) {
    execs += event.has_exec() && event.exec().process().cgroup_id() == second_.cgroup();
    EXPECT_TRUE(!event.has_lost() || event.lost().cgroup_id() != second_.cgroup()) << event.lost().cause();
  }
  EXPECT_EQ(execs, kFew);
  EXPECT_GT(counters.lost[SL_PROCESS_LOSS_SHARE], 0U);
  EXPECT_EQ(counters.lost[SL_PROCESS_LOSS_RING_FULL], 0U);
  EXPECT_LE(counters.healings, static_cast<std::uint64_t>(took / (10 * kHealInterval)) + 1);
}

SL_FOR_EACH_BACK_END(EventShareTest);

}  // namespace
}  // namespace sluice::test
