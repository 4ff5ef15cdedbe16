// Which processes a policy is for: by network namespace and by cgroup; and the quarantine of their workload.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "bpf/abi/quarantine.h"
#include "kernel/bpf/map.h"
#include "tests/hooks/hook_test.h"

namespace sluice::test {
namespace {

hooks::Subject PodIn(const std::string& ns, const std::string& name) {
  hooks::Subject subject{.key = ns + "/" + name};
  subject.facts.ns = ns;
  subject.facts.labels = {{"app", name}};
  return subject;
}

// A cgroup that lives as long as this object.
class Cgroup {
 public:
  explicit Cgroup(const std::string& name) {
    const std::string root =
        std::filesystem::exists("/sys/fs/cgroup/unified") ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
    path_ = fmt::format("{}/sluice-hooks-{}-{}", root, getpid(), name);
    std::filesystem::create_directory(path_);
  }
  // Inside another one, which outlives it.
  Cgroup(const Cgroup& parent, const std::string& name) : path_(parent.path_ + "/" + name) {
    std::filesystem::create_directory(path_);
  }
  ~Cgroup() { rmdir(path_.c_str()); }
  std::uint64_t id() const {
    struct stat facts {};
    return stat(path_.c_str(), &facts) == 0 ? facts.st_ino : 0;
  }
  void Enter() const {
    std::ofstream procs(path_ + "/cgroup.procs");
    if (!(procs << getpid() << std::flush)) _exit(98);
  }

 private:
  std::string path_;
};

class HookSubjects : public HookTest {
 protected:
  Status KillIn(const std::string& ns) {
    return fixture().Apply(OpenPolicy("kill", "matchActions: [{action: Sigkill}]", ns));
  }
};
SL_FOR_EACH_SYSCALL_BACK_END(HookSubjects);

TEST_P(HookSubjects, APolicyOfANamespaceIsForItsPodsOnly) {
  const Netns shop, bank, unknown;
  hooks::Subject shop_pod = PodIn("shop", "web"), bank_pod = PodIn("bank", "web");
  shop_pod.netns = {shop.inode()};
  bank_pod.netns = {bank.inode()};
  ASSERT_TRUE(fixture().tables().SetSubjects({shop_pod, bank_pod}).ok());
  const Status applied = KillIn("shop");
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(StatusOfOpen(file(), [&] { shop.Enter(); }), kKilled);
  EXPECT_EQ(StatusOfOpen(other(), [&] { shop.Enter(); }), 0);
  EXPECT_EQ(StatusOfOpen(file(), [&] { bank.Enter(); }), 0);
  EXPECT_EQ(StatusOfOpen(file(), [&] { unknown.Enter(); }), 0);
  EXPECT_EQ(StatusOfOpen(file()), 0) << "the host";
}

TEST_P(HookSubjects, ANewPodIsCoveredBeforeItsFirstProcess) {
  ASSERT_TRUE(KillIn("shop").ok());
  const Netns shop;
  EXPECT_EQ(StatusOfOpen(file(), [&] { shop.Enter(); }), 0) << "no pod yet";
  hooks::Subject pod = PodIn("shop", "web");
  pod.netns = {shop.inode()};
  ASSERT_TRUE(fixture().tables().SetSubjects({pod}).ok());
  EXPECT_EQ(StatusOfOpen(file(), [&] { shop.Enter(); }), kKilled);
  pod.facts.ns = "bank";
  ASSERT_TRUE(fixture().tables().SetSubjects({pod}).ok());
  EXPECT_EQ(StatusOfOpen(file(), [&] { shop.Enter(); }), 0) << "its facts have changed";
  pod.facts.ns = "shop";
  ASSERT_TRUE(fixture().tables().SetSubjects({pod}).ok());
  EXPECT_EQ(StatusOfOpen(file(), [&] { shop.Enter(); }), kKilled);
  ASSERT_TRUE(fixture().tables().SetSubjects({}).ok());
  EXPECT_EQ(StatusOfOpen(file(), [&] { shop.Enter(); }), 0) << "it is gone";
}

TEST_P(HookSubjects, ACgroupCountsBeforeTheNamespace) {
  const Cgroup web("web");
  if (web.id() == 0) GTEST_SKIP() << "no version 2 cgroups are mounted";
  const Netns bank;
  hooks::Subject container = PodIn("shop", "web"), pod = PodIn("bank", "web");
  container.cgroups = {web.id()};
  pod.netns = {bank.inode()};
  ASSERT_TRUE(KillIn("shop").ok());
  EXPECT_EQ(StatusOfOpen(file(), [&] { web.Enter(); }), 0) << "not known yet";
  ASSERT_TRUE(fixture().tables().SetSubjects({container, pod}).ok());
  EXPECT_EQ(StatusOfOpen(file(), [&] { web.Enter(); }), kKilled) << "though programs have met the cgroup before";
  EXPECT_EQ(StatusOfOpen(file(),
                         [&] {
                           web.Enter();
                           bank.Enter();
                         }),
            kKilled);
  EXPECT_EQ(StatusOfOpen(file(), [&] { bank.Enter(); }), 0);
}

// As the agent makes them: the pod's cgroup, and below it those of its containers.
TEST_P(HookSubjects, AContainerIsASubjectOfItsOwnInsideItsPod) {
  const Cgroup pod_cgroup("pod");
  if (pod_cgroup.id() == 0) GTEST_SKIP() << "no version 2 cgroups are mounted";
  const Cgroup main_cgroup(pod_cgroup, "main"), side_cgroup(pod_cgroup, "side"), inner(main_cgroup, "inner");
  const Netns netns;
  hooks::Subject pod = PodIn("shop", "web");
  pod.cgroups = {pod_cgroup.id()};
  pod.netns = {netns.inode()};
  hooks::Subject main = PodIn("shop", "web"), side = main;
  main.key = "shop/web/1";
  main.cgroups = {main_cgroup.id()};
  main.facts.container = "main";
  main.facts.repository = "registry/main";
  side.key = "shop/web/2";
  side.cgroups = {side_cgroup.id()};
  side.facts.container = "side";
  side.facts.repository = "registry/side";
  ASSERT_TRUE(fixture().tables().SetSubjects({pod, main, side}).ok());
  const auto status_in = [&](const Cgroup& cgroup) {
    return StatusOfOpen(file(), [&] {
      cgroup.Enter();
      netns.Enter();
    });
  };
  const auto put = [&](const std::string& selector) {
    const Status applied = fixture().Apply(PolicyText(
        "kill",
        fmt::format("{{containerSelector: {}, kprobes: [{{call: sys_openat, args: [{{index: 1, type: string}}], "
                    "selectors: [{{matchArgs: [{{index: 1, operator: Equal, values: [\"{}\"]}}], matchActions: "
                    "[{{action: Sigkill}}]}}]}}]}}",
                    selector, file())));
    ASSERT_TRUE(applied.ok()) << applied;
  };
  ASSERT_NO_FATAL_FAILURE(put("{matchLabels: {name: main}}"));
  EXPECT_EQ(status_in(main_cgroup), kKilled);
  EXPECT_EQ(status_in(inner), kKilled) << "a cgroup inside the container";
  EXPECT_EQ(status_in(side_cgroup), 0);
  EXPECT_EQ(status_in(pod_cgroup), 0) << "in the pod, and in no container that is known";
  EXPECT_EQ(StatusOfOpen(file()), 0) << "the host";
  ASSERT_NO_FATAL_FAILURE(put("{matchExpressions: [{key: repo, operator: NotIn, values: [registry/main]}]}"));
  EXPECT_EQ(status_in(main_cgroup), 0);
  EXPECT_EQ(status_in(side_cgroup), kKilled);
  EXPECT_EQ(status_in(pod_cgroup), kKilled);
  EXPECT_EQ(StatusOfOpen(file()), 0) << "the host has no containers";
  // It ends: its processes count as the pod's.
  ASSERT_NO_FATAL_FAILURE(put("{matchLabels: {name: main}}"));
  ASSERT_TRUE(fixture().tables().SetSubjects({pod, side}).ok());
  EXPECT_EQ(status_in(main_cgroup), 0);
}

TEST_P(HookSubjects, AnEventNamesItsSubject) {
  const Netns shop;
  hooks::Subject pod = PodIn("shop", "web");
  pod.netns = {shop.inode()};
  ASSERT_TRUE(fixture().tables().SetSubjects({pod}).ok());
  ASSERT_TRUE(fixture().Apply(OpenPolicy("see")).ok());
  const pid_t inside = Fork([&] {
    shop.Enter();
    OpenFile(file());
  });
  Reap(inside);
  const auto record = fixture().WaitFor(Of(inside));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(fixture().tables().KeyOf(record->event.subject), "shop/web");
  const pid_t outside = Fork([&] { OpenFile(file()); });
  Reap(outside);
  const auto of_host = fixture().WaitFor(Of(outside));
  ASSERT_TRUE(of_host.ok()) << of_host.status();
  EXPECT_EQ(of_host->event.subject, 0U);
}

TEST_P(HookSubjects, QuarantineCutsTheWorkloadOff) {
  using Quarantine = bpf::Map<std::uint32_t, std::uint32_t>;
  const auto quarantine = Quarantine::Bind(fixture().programs().map_fd("quarantine"), "quarantine");
  ASSERT_TRUE(quarantine.ok()) << quarantine.status();
  constexpr std::uint32_t kEndpoint = 7, kOther = 8;
  const Netns shop, bank;
  hooks::Subject pod = PodIn("shop", "web"), bystander = PodIn("shop", "db");
  pod.netns = {shop.inode()};
  pod.endpoint = kEndpoint;
  bystander.netns = {bank.inode()};
  bystander.endpoint = kOther;
  ASSERT_TRUE(fixture().tables().SetSubjects({pod, bystander}).ok());
  const Status applied = fixture().Apply(OpenPolicy("cut", "matchActions: [{action: Quarantine}]", "shop"));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(StatusOfOpen(other(), [&] { shop.Enter(); }), 0);
  EXPECT_EQ(*quarantine->Get(kEndpoint), std::optional<std::uint32_t>(SL_QUARANTINE_NONE));
  EXPECT_EQ(StatusOfOpen(file(), [&] { shop.Enter(); }), 0);
  EXPECT_EQ(*quarantine->Get(kEndpoint), std::optional<std::uint32_t>(SL_QUARANTINE_HOOK));
  EXPECT_EQ(*quarantine->Get(kOther), std::optional<std::uint32_t>(SL_QUARANTINE_NONE));
  EXPECT_EQ(fixture().Count("cut", SL_HOOK_COUNT_QUARANTINED), 0U) << "the policy has a namespace";
  const auto counts = fixture().tables().Counts({.ns = "shop", .name = "cut"});
  ASSERT_TRUE(counts.ok()) << counts.status();
  EXPECT_EQ(counts->at(0).counts.counts[SL_HOOK_COUNT_QUARANTINED], 1U);
  ASSERT_TRUE(quarantine->Put(kEndpoint, SL_QUARANTINE_NONE).ok());
}

}  // namespace
}  // namespace sluice::test
