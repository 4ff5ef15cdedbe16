#include "ctrl/api/changes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/api/world.h"

namespace sluice::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Change = v1::ResourceChange;

const policy::ResourceId kWeb{policy::Kind::kWorkload, {"shop", "web-0"}};
const policy::ResourceId kDb{policy::Kind::kWorkload, {"shop", "db-0"}};
const policy::ResourceId kPolicy{policy::Kind::kNetworkPolicy, {"shop", "db"}};

void EditDirectory(reconcile::View& view, const std::function<void(policy::ResourceMap&)>& edit) {
  policy::ResourceMap directory = view.desired.of(reconcile::Source::kDirectory);
  edit(directory);
  view.desired.Set(reconcile::Source::kDirectory, std::move(directory));
}

// web-0 is also in the resources directory, db-0 only there.
reconcile::View MakeTwoOrigins() {
  reconcile::View view = MakeView();
  EditDirectory(view, [&](policy::ResourceMap& directory) {
    for (const auto& id : {kWeb, kDb}) directory[id] = view.resources.at(id);
  });
  view.desired.Remove(kDb);
  return view;
}

TEST(Changes, WhoseDocumentCounts) {
  const auto view = MakeTwoOrigins();
  EXPECT_EQ(OriginOf(kWeb, view), v1::API);
  EXPECT_TRUE(IsShadowing(kWeb, view));
  EXPECT_EQ(OriginOf(kDb, view), v1::DIRECTORY);
  EXPECT_FALSE(IsShadowing(kDb, view));
  EXPECT_EQ(OriginOf({policy::Kind::kPod, {"a", "b"}}, view), v1::ORIGIN_UNSPECIFIED);
}

TEST(Changes, KubernetesComesLast) {
  auto view = MakeTwoOrigins();
  policy::ResourceMap kubernetes;
  for (const auto& id : {kDb, kPolicy}) kubernetes[id] = view.resources.at(id);
  view.desired.Set(reconcile::Source::kKubernetes, kubernetes);
  EXPECT_EQ(OriginOf(kDb, view), v1::DIRECTORY);
  EXPECT_TRUE(IsShadowing(kDb, view));
  EXPECT_EQ(ToRemovals(view, {kPolicy}, reconcile::Missing::kRefused)[0].in_force(), v1::KUBERNETES);
  view.desired.Remove(kPolicy);
  EXPECT_EQ(OriginOf(kPolicy, view), v1::KUBERNETES);
  EXPECT_FALSE(IsShadowing(kPolicy, view));
}

TEST(Changes, AgainstWhatTheApiWasGiven) {
  const auto before = MakeTwoOrigins();
  auto resources = *policy::ParseResources("world.yaml", kWorld);  // web-0, db-0, job, db, trial
  resources[3].yaml += "# edited";
  resources.push_back(policy::ParseResources("n", "{apiVersion: v1, kind: Namespace, metadata: {name: new}}")->front());
  std::vector<Change::Change> words;
  std::vector<bool> shadows;
  for (const Change& change : ToChanges(before, resources)) {
    words.push_back(change.change());
    shadows.push_back(change.shadows());
    EXPECT_EQ(change.in_force(), v1::API);
  }
  EXPECT_THAT(words, ElementsAre(Change::UNCHANGED, Change::REPLACED, Change::UNCHANGED, Change::REPLACED,
                                 Change::UNCHANGED, Change::CREATED));
  EXPECT_THAT(shadows, ElementsAre(true, true, false, false, false, false));
}

TEST(Changes, WhatIsRemovedFromTheApiMayComeBackFromTheDirectory) {
  using Missing = reconcile::Missing;
  const policy::ResourceId nobody{policy::Kind::kPod, {"a", "b"}};
  const auto changes = ToRemovals(MakeTwoOrigins(), {kWeb, kPolicy, nobody}, Missing::kIgnored);
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].in_force(), v1::DIRECTORY);
  EXPECT_EQ(changes[1].in_force(), v1::ORIGIN_UNSPECIFIED);
  EXPECT_EQ(changes[1].change(), Change::REMOVED);
}

TEST(Changes, OfTheDirectory) {
  const auto before = MakeTwoOrigins();
  auto after = before;
  EditDirectory(after, [&](policy::ResourceMap& directory) {
    directory.erase(kDb);
    directory[kPolicy] = after.resources.at(kPolicy);
    directory[kWeb].yaml += "# edited";
  });
  std::vector<std::string> told;
  for (const Change& change : DirectoryChanges(before, after)) {
    told.push_back(Change::Change_Name(change.change()) + " " + change.resource().name());
  }
  EXPECT_THAT(told, ElementsAre("REPLACED web-0", "CREATED db", "REMOVED db-0"));
}

TEST(Changes, ShadowedDocumentsAreNamedWithTheWayBack) {
  EXPECT_THAT(ShadowedTexts(MakeTwoOrigins(), "/etc/sluice/d"),
              ElementsAre("Workload shop/web-0: the applied document hides the one in /etc/sluice/d; `sluice delete "
                          "workload web-0 -n shop` restores that"));
  auto many = MakeTwoOrigins();
  for (int i = 0; i < 20; ++i) {
    const policy::ResourceId id{policy::Kind::kPod, {"shop", fmt::format("p{}", i)}};
    many.desired.Put({.id = id});
    EditDirectory(many, [&](policy::ResourceMap& directory) { directory[id] = {}; });
  }
  const auto texts = ShadowedTexts(many, "d");
  ASSERT_EQ(texts.size(), 10U);
  EXPECT_THAT(texts.back(), HasSubstr("and 12 more"));
}

}  // namespace
}  // namespace sluice::api
