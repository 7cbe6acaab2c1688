"""Lines of [schema, text] from standard input: each text must be JSON that python3-jsonschema finds valid."""
import json
import sys

try:
    import jsonschema
except ImportError:
    print("there is no python3-jsonschema")
    sys.exit(77)

# Newer versions have it at the validator, and warn of the other place.
checker = getattr(jsonschema.Draft202012Validator, "FORMAT_CHECKER", None) or jsonschema.draft202012_format_checker
bad = 0
validators = {}
for line in sys.stdin:
    schema, text = json.loads(line)
    key = json.dumps(schema)
    if key not in validators:
        validators[key] = jsonschema.Draft202012Validator(
            schema, format_checker=checker)
    try:
        error = jsonschema.exceptions.best_match(validators[key].iter_errors(json.loads(text)))
    except ValueError as no_json:
        error = no_json
    if error:
        bad += 1
        print(f"{key}: {text}: {error}")
sys.exit(1 if bad else 0)
