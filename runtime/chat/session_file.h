// A conversation in a file, to be gone on with later.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/chat/chat_template.h"
#include "runtime/model/model_file.h"
#include "tokenizer/vocab.h"

namespace llamajit {

// A conversation may be resumed with a model that agrees in
// all of this: any other would understand it differently.
struct SessionModel {
  std::string format;         // of the model's file
  std::string shape;          // its dimensions
  std::string vocabulary;     // SHA-256 of its pieces
  std::string chat_template;  // SHA-256 of its source
};
SessionModel describe_for_session(const ModelFile& model, const Vocab& vocab,
                                  const ChatTemplate& chat_template);

// The file has a line "llamajit session 1 SHA-256" and JSON, whose hash that is: what describes the model,
// and the messages. There are no tokens, keys and values in it, as they follow from the messages; feeding
// them again takes as long as a prompt of their length.
//
// Replaces the file at once, or leaves it as it is. Throws std::runtime_error that names the file.
void save_session(const std::string& path, const SessionModel& model, const std::vector<Message>& messages);

// What a file begins with, by which two sessions are told apart: empty where there is none, or nothing in it. Throws
// std::runtime_error where it can't be read.
std::string session_mark(const std::string& path);
bool is_session_mark(std::string_view mark);

// Throws std::runtime_error that names the file, the field, what was expected and what was found: for a file
// that is damaged, of another version, or of another model.
std::vector<Message> load_session(const std::string& path, const SessionModel& model);

}  // namespace llamajit
