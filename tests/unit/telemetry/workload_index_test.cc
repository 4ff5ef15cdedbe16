#include "telemetry/flow/workload_index.h"

#include "tests/unit/policy/world.h"

namespace sluice::telemetry {
namespace {

using policy::Kind;
using policy::World;

std::shared_ptr<const policy::CompiledPolicy> Compiled(const World& world) {
  return std::make_shared<const policy::CompiledPolicy>(world.compiled());
}

std::uint32_t NumberOf(const World& world, const policy::ObjectName& name) {
  return world.snapshot().FindByName(name)->workload_id;
}

TEST(WorkloadIndex, FindsByNumber) {
  const World world;
  WorkloadIndexer indexer;
  const auto index = indexer.Update(Compiled(world));
  const policy::Endpoint& db = *world.snapshot().FindByName({"shop", "db"});
  ASSERT_NE(index->Find(db.workload_id), nullptr);
  EXPECT_EQ(index->Find(db.workload_id)->name, db.name);
  EXPECT_EQ(index->Find(db.workload_id)->labels, db.labels);
  EXPECT_NE(index->Find(NumberOf(world, {"bank", "far"})), nullptr) << "pods elsewhere too";
  EXPECT_EQ(index->Find(0), nullptr);
}

TEST(WorkloadIndex, SamePolicySameIndex) {
  const World world;
  WorkloadIndexer indexer;
  const auto compiled = Compiled(world);
  const auto index = indexer.Update(compiled);
  EXPECT_EQ(indexer.Update(compiled), index);
  EXPECT_EQ(indexer.Update(nullptr), index);
}

TEST(WorkloadIndex, RemembersTheLastDeparted) {
  World world;
  WorkloadIndexer indexer(2);
  indexer.Update(Compiled(world));
  std::vector<std::uint32_t> gone;
  for (const policy::ObjectName& name : {policy::ObjectName{"shop", "web"}, {"shop", "db"}, {"bank", "vault"}}) {
    gone.push_back(NumberOf(world, name));
    world.Delete(Kind::kWorkload, name);
    indexer.Update(Compiled(world));
  }
  const auto index = indexer.Update(Compiled(world));
  EXPECT_EQ(index->Find(gone[0]), nullptr) << "only two are kept";
  ASSERT_NE(index->Find(gone[1]), nullptr);
  EXPECT_EQ(index->Find(gone[1])->name.name, "db");
  EXPECT_NE(index->Find(gone[2]), nullptr);
}

TEST(WorkloadIndex, ReturnOfADepartedOneGivesItsNewLabels) {
  World world;
  WorkloadIndexer indexer(1);
  const std::uint32_t number = NumberOf(world, {"shop", "db"});
  indexer.Update(Compiled(world));
  world.Delete(Kind::kWorkload, {"shop", "db"});
  indexer.Update(Compiled(world));
  world.Apply(
      "{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {name: db, namespace: shop, labels: {app: "
      "new}}, spec: {netns: /run/netns/shop-db, ips: [10.0.0.2]}}");
  ASSERT_EQ(NumberOf(world, {"shop", "db"}), number);
  EXPECT_EQ(indexer.Update(Compiled(world))->Find(number)->labels.at("app"), "new");
  // It no longer takes the place of a removed one.
  world.Delete(Kind::kWorkload, {"bank", "vault"});
  const auto index = indexer.Update(Compiled(world));
  EXPECT_EQ(index->Find(number)->labels.at("app"), "new");
}

}  // namespace
}  // namespace sluice::telemetry
