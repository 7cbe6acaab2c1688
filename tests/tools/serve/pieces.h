// Pieces that no small model writes, and the events that an answer's format makes of them.
#pragma once

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tools/serve/answer.h"

namespace llamajit::serve::pieces {

inline Piece thought(const std::string& text) {
  Piece piece;
  piece.reasoning = text;
  return piece;
}
inline Piece said(const std::string& text) {
  Piece piece;
  piece.content = text;
  return piece;
}
// A call's first piece has its name.
inline Piece called(int index, const std::string& name, const std::string& arguments) {
  Piece piece;
  piece.tools.push_back({index, name.empty() ? "" : "call_" + name, name, arguments});
  return piece;
}

// The data of events, of which each is a line with its type, one with its data, and an empty one.
inline std::vector<Json> events_of(const std::string& text) {
  constexpr std::string_view kData = "data: ";
  std::vector<Json> events;
  std::istringstream stream(text);
  for (std::string name, data, blank; std::getline(stream, name);) {
    EXPECT_TRUE(std::getline(stream, data) && std::getline(stream, blank) && blank.empty()) << name;
    EXPECT_TRUE(data.starts_with(kData)) << data;
    events.push_back(Json::parse(data.substr(kData.size())));
    EXPECT_EQ("event: " + events.back().value("type", ""), name);
  }
  return events;
}

}  // namespace llamajit::serve::pieces
