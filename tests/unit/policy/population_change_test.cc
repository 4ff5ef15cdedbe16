// Populations that follow changes, compared with populations that are made anew.
#include "policy/network/population_change.h"

#include <gtest/gtest.h>

#include <unordered_map>

#include "policy/network/populate.h"
#include "policy/network/stable_id.h"
#include "tests/support/random_policy.h"

namespace sluice::policy {
namespace {

struct Inputs {
  ResourceMap resources;
  std::map<ObjectName, Binding> bindings;
  std::vector<Address> node_addresses;
  PopulationInput all() const { return {resources, bindings, node_addresses}; }

  void AddPod(const ObjectName& name, const std::string& ip, bool finished = false) {
    auto pod = std::make_shared<struct Pod>();
    pod->name = name;
    pod->ips = {Address::Parse(ip).value()};
    pod->finished = finished;
    Resource resource{.id = {Kind::kPod, name}};
    resource.pod = std::move(pod);
    resources.insert_or_assign(resource.id, resource);
  }
  void AddNamespace(const std::string& name) {
    Resource resource{.id = {Kind::kNamespace, {"", name}}};
    resource.ns = std::make_shared<const Namespace>(Namespace{name, {}});
    resources.insert_or_assign(resource.id, resource);
  }
};

auto MembersOf(const Endpoint& e) {
  return std::tie(e.name, e.workload_id, e.labels, *e.namespace_labels, e.ports, e.ips, e.ifindex, e.endpoint);
}
auto MembersOf(const EndpointOrigin& o) { return std::tie(o.workload, o.pod, o.name_hash, o.workload_id); }

void ExpectEqual(const Population& a, const Population& b) {
  ASSERT_EQ(a.endpoints.size(), b.endpoints.size());
  ASSERT_EQ(a.origins.size(), b.origins.size());
  for (std::size_t i = 0; i < a.endpoints.size(); i++) {
    ASSERT_EQ(MembersOf(a.endpoints[i]), MembersOf(b.endpoints[i])) << a.endpoints[i].name.ToString();
    ASSERT_EQ(MembersOf(a.origins[i]), MembersOf(b.origins[i])) << a.endpoints[i].name.ToString();
    ASSERT_EQ(a.endpoints[i].namespace_labels, a.namespaces.at(a.endpoints[i].name.ns));
  }
  ASSERT_EQ(a.locals, b.locals);
  ASSERT_EQ(a.by_address.entries(), b.by_address.entries());
  ASSERT_EQ(a.contested, b.contested);
  ASSERT_EQ(a.node_addresses, b.node_addresses);
  ASSERT_EQ(a.bindings, b.bindings);
  for (const Kind kind : {Kind::kNamespace, Kind::kPod, Kind::kWorkload}) {
    ASSERT_TRUE(a.resources.Shares(kind, b.resources));
  }
  ASSERT_EQ(a.namespaces.size(), b.namespaces.size());
  for (const auto& [name, labels] : a.namespaces) ASSERT_EQ(*labels, *b.namespaces.at(name)) << name;
}

TEST(PopulationChange, EveryStepGivesWhatAPopulationMadeAnewHas) {
  int followed = 0, made_anew = 0;
  for (std::uint64_t seed = 600; seed < 640; seed++) {
    test::RandomPolicy random(seed, {.pods = 30});
    std::shared_ptr<const Population> before = random.NextSnapshot()->population;
    for (int step = 0; step < 60; step++) {
      SCOPED_TRACE(fmt::format("seed {} step {}", seed, step));
      const std::vector<Address> node_addresses = random.NextChange()->node_addresses;
      const PopulationInput input{random.resources(), random.bindings(), node_addresses};
      const auto wanted = Populate(input, nullptr);
      ASSERT_TRUE(wanted.ok()) << wanted.status();
      if (const auto changed = Change(*before, input); changed != nullptr) {
        ASSERT_NO_FATAL_FAILURE(ExpectEqual(*changed, **wanted));
        before = changed;
        followed++;
      } else {
        before = Populate(input, before.get()).value();
        ASSERT_NO_FATAL_FAILURE(ExpectEqual(*before, **wanted));
        made_anew++;
      }
    }
  }
  EXPECT_GT(followed, 1000);
  EXPECT_GT(made_anew, 200);
}

TEST(PopulationChange, SharesTheEndpointsThatAreTheSame) {
  Inputs inputs;
  for (const char* name : {"a", "b", "c"}) inputs.AddPod({"shop", name}, std::string("fd00::") + name);
  const auto before = Populate(inputs.all(), nullptr).value();
  inputs.AddPod({"shop", "b"}, "fd00::bb");
  const auto now = Change(*before, inputs.all());
  ASSERT_NE(now, nullptr);
  EXPECT_EQ(&now->endpoints[0], &before->endpoints[0]);
  EXPECT_NE(&now->endpoints[1], &before->endpoints[1]);
  EXPECT_EQ(&now->endpoints[2], &before->endpoints[2]);
}

TEST(PopulationChange, AnAddressThatSeveralClaimIsSharedOutAnew) {
  Inputs inputs;
  inputs.AddPod({"shop", "a"}, "10.0.0.1");
  inputs.AddPod({"shop", "b"}, "10.0.0.2");
  inputs.node_addresses = {Address::Parse("10.0.0.9").value()};
  const auto before = Populate(inputs.all(), nullptr).value();
  const auto is_followed = [&](const ObjectName& name, const char* ip) {
    Inputs other = inputs;
    other.AddPod(name, ip);
    return Change(*before, other.all()) != nullptr;
  };
  EXPECT_FALSE(is_followed({"shop", "c"}, "10.0.0.1"));
  EXPECT_FALSE(is_followed({"shop", "c"}, "10.0.0.9")) << "the node's";
  EXPECT_TRUE(is_followed({"shop", "c"}, "10.0.0.3"));
  EXPECT_TRUE(is_followed({"shop", "a"}, "10.0.0.1"));
  inputs.AddPod({"shop", "c"}, "10.0.0.1");
  const auto contested = Populate(inputs.all(), nullptr).value();
  inputs.resources.erase({Kind::kPod, {"shop", "a"}});
  EXPECT_EQ(Change(*contested, inputs.all()), nullptr) << "c gets it";
}

TEST(PopulationChange, NamespacesComeAndGoWithTheirPods) {
  Inputs inputs;
  inputs.AddNamespace("shop");
  inputs.AddPod({"shop", "a"}, "10.0.0.1");
  inputs.AddPod({"bank", "a"}, "10.0.0.2");
  auto now = Populate(inputs.all(), nullptr).value();
  const auto next = [&] {
    now = Change(*now, inputs.all());
    std::string names;
    if (now == nullptr) return names;
    for (const auto& [name, labels] : now->namespaces) names += name + " ";
    return names;
  };
  inputs.AddPod({"bank", "b"}, "10.0.0.3", /*finished=*/true);
  inputs.AddPod({"club", "a"}, "10.0.0.4");
  ASSERT_EQ(next(), "bank club shop ");
  inputs.resources.erase({Kind::kPod, {"bank", "a"}});
  inputs.resources.erase({Kind::kPod, {"club", "a"}});
  inputs.resources.erase({Kind::kPod, {"shop", "a"}});
  ASSERT_EQ(next(), "bank shop ") << "a finished pod implies its namespace, and shop is a resource";
  inputs.resources.erase({Kind::kPod, {"bank", "b"}});
  ASSERT_EQ(next(), "shop ");
}

// Two names whose hashes are the same number.
std::pair<std::string, std::string> NamesOfOneNumber() {
  std::unordered_map<std::uint32_t, std::string> names;
  for (int i = 0;; i++) {
    struct Pod pod;
    pod.name = {"shop", fmt::format("pod-{:06}", i)};
    const auto [known, fresh] = names.try_emplace(IdRange{}.At(NameHash({.pod = &pod})), pod.name.name);
    if (!fresh) return {known->second, pod.name.name};
  }
}

TEST(PopulationChange, APodGetsTheNextNumberWhileAnEarlierOneHasItsOwn) {
  const auto [first, second] = NamesOfOneNumber();
  Inputs inputs;
  inputs.AddPod({"shop", second}, "10.0.0.2");
  const auto alone = Populate(inputs.all(), nullptr).value();
  inputs.AddPod({"shop", first}, "10.0.0.1");
  const auto both = Change(*alone, inputs.all());
  ASSERT_NE(both, nullptr);
  ASSERT_NO_FATAL_FAILURE(ExpectEqual(*both, *Populate(inputs.all(), nullptr).value()));
  EXPECT_EQ(both->FindByName({"shop", first})->workload_id, alone->FindByName({"shop", second})->workload_id);
  inputs.resources.erase({Kind::kPod, {"shop", first}});
  const auto again = Change(*both, inputs.all());
  ASSERT_NE(again, nullptr);
  ASSERT_NO_FATAL_FAILURE(ExpectEqual(*again, *Populate(inputs.all(), nullptr).value()));
  EXPECT_EQ(MembersOf(again->endpoints[0]), MembersOf(alone->endpoints[0]));
}

}  // namespace
}  // namespace sluice::policy
