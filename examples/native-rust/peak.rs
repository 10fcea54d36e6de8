//! Tells the highest reading of each topic, and since when it stands.
#[path = "../../runtime/native/rust/dunlin.rs"]
mod dunlin;

use dunlin::{Answer, Context, Event, Failure, Level};

export!(handle);

fn handle(context: &mut Context, event: &Event) -> Result<Answer, Failure> {
    let text = std::str::from_utf8(event.body()).map_err(|_| Failure("the reading is no text".into()))?;
    let value = reading(text).ok_or_else(|| Failure(format!("no number in {:?}", text)))?;
    // Kept as text: `0.1` is the same in every language that reads it.
    let before = context.state_get(event, event.topic())?.and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<f64>().ok());
    if before.map_or(true, |peak| value > peak) {
        context.state_set(event, event.topic(), value.to_string().as_bytes())?;
        let body = format!("{{\"topic\":\"{}\",\"value\":{},\"sinceUs\":{}}}", event.topic(), value, event.time_us);
        context.emit(event, "peaks", body.as_bytes())?;
        context.log(Level::Debug, &format!("new peak on {}: {}", event.topic(), value));
    }
    Ok(Answer::text(before.map_or(value, |peak| peak.max(value)).to_string()))
}

/// `21.5`, or the `value` of a JSON object.
fn reading(text: &str) -> Option<f64> {
    let number = match text.find("\"value\"") {
        Some(at) => text[at + 7..].trim_start_matches(|c: char| c == ':' || c.is_whitespace()),
        None => text.trim(),
    };
    let end = number.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(number.len());
    number[..end].parse().ok().filter(|value: &f64| value.is_finite())
}
